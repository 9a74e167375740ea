using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway;

/// <summary>POST /v1/chat/completions and POST /v1/completions: one path, two formats.</summary>
internal sealed class GenerateEndpoints(
    Door door,
    RequestReader reader,
    Generator generator,
    ServedModel model,
    ClusterOptions options,
    Entropy entropy,
    TimeProvider time)
{
    public const string ChatIdPrefix = "chatcmpl-";
    public const string TextIdPrefix = "cmpl-";

    private const int FingerprintChars = 12;

    public Task ChatAsync(HttpContext context) =>
        GenerateAsync(context, reader.ReadChat, ChatIdPrefix, head => new ChatFormat(head));

    public Task CompleteAsync(HttpContext context) =>
        GenerateAsync(context, reader.ReadCompletion, TextIdPrefix, head => new TextFormat(head));

    private async Task GenerateAsync(
        HttpContext context,
        Func<JsonDocument, Arrival, GenerationRequest> read,
        string idPrefix,
        Func<AnswerHead, IAnswerFormat> createFormat)
    {
        // :: Step 1
        var now = time.GetUtcNow();
        var arrival = new Arrival(context.TraceIdentifier, entropy.NextSeed(), now, now + options.RequestTimeout);
        GenerationRequest request;
        using (var body = await RequestBody.ReadAsync(context)) request = read(body, arrival);

        if (door.Enter() is Refused refused)
        {
            ErrorWriter.SetRetryAfter(context.Response, refused.RetryAfter);
            throw new KreweException(refused.Code, refused.Message);
        }

        try
        {
            await using var generation = await generator.StartAsync(request);
            var format = createFormat(Head(request, idPrefix));
            if (request.Stream)
                await AnswerWriter.WriteStreamAsync(context, generation, format, request);
            else
                await AnswerWriter.WriteWholeAsync(context, generation, format);
        }
        finally
        {
            door.Leave();
        }
    }

    private AnswerHead Head(GenerationRequest request, string idPrefix) => new(
        idPrefix + request.Spec.RequestId,
        request.Spec.ArrivedAt.ToUnixTimeSeconds(),
        model.Name,
        $"fp_{model.Fingerprint[..FingerprintChars]}",
        request.ReturnTokenIds ? request.Spec.PromptTokens : null);
}
