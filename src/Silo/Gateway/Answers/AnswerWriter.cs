using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Writes a generation to its client, in one piece or as server-sent events. Nothing is sent before the first token, so
/// that an error before it is a real status.
/// </summary>
internal static class AnswerWriter
{
    private static ReadOnlyMemory<byte> DataPrefix { get; } = "data: "u8.ToArray();

    private static ReadOnlyMemory<byte> EventEnd { get; } = "\n\n"u8.ToArray();

    private static ReadOnlyMemory<byte> Done { get; } = "[DONE]"u8.ToArray();

    public static async Task WriteWholeAsync(HttpContext context, Generation generation, IAnswerFormat format)
    {
        var text = new StringBuilder();
        var tokenIds = new List<int>();
        AnswerDelta delta;
        do
        {
            delta = await generation.NextAsync(context.RequestAborted);
            text.Append(delta.Text);
            tokenIds.AddRange(delta.TokenIds);
        }
        while (delta.FinishReason is null);

        var body = format.Whole(new AnswerDelta(text.ToString(), tokenIds, delta.FinishReason), generation.Usage);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    public static async Task WriteStreamAsync(
        HttpContext context, Generation generation, IAnswerFormat format, GenerationRequest request)
    {
        var aborted = context.RequestAborted;
        var delta = await generation.NextAsync(aborted);
        BeginEvents(context.Response);
        AnswerUsage? Usage() => request.ContinuousUsage ? generation.Usage : null;

        if (format.Opening(Usage()) is { } opening) await WriteEventAsync(context, opening);
        while (true)
        {
            await WriteEventAsync(context, format.Chunk(delta, Usage()));
            if (delta.FinishReason is not null) break;
            await context.Response.Body.FlushAsync(aborted);
            try
            {
                delta = await generation.NextAsync(aborted);
            }
            catch (KreweException e)
            {
                await WriteFailureAsync(context, e);
            }
        }

        if (request.IncludeUsage) await WriteEventAsync(context, format.UsageChunk(generation.Usage));
        await WriteEventAsync(context, Done);
        await context.Response.Body.FlushAsync(aborted);
    }

    private static void BeginEvents(HttpResponse response)
    {
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // A proxy that collects events before it passes them on would take the stream's use away.
        response.Headers["X-Accel-Buffering"] = "no";
        response.Headers.Remove(HeaderNames.ContentLength);
    }

    /// <summary>
    /// Tells the error as an event, and then breaks the connection: a client library that overlooks the event must not
    /// take a cut answer for a whole one.
    /// </summary>
    private static async Task WriteFailureAsync(HttpContext context, KreweException error)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(
            ErrorWriter.ToObject(error), GatewayJson.Instance.ErrorObject);
        await WriteEventAsync(context, body);
        await WriteEventAsync(context, Done);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        // HttpContext.Abort() could drop what was just written. The server ends a response that fails after it has
        // begun by sending everything and closing the connection without the terminator; this exception it does not log
        // as ours.
        throw new BadHttpRequestException("The answer failed after it had begun.", error);
    }

    private static async Task WriteEventAsync(HttpContext context, ReadOnlyMemory<byte> json)
    {
        var body = context.Response.Body;
        await body.WriteAsync(DataPrefix, context.RequestAborted);
        await body.WriteAsync(json, context.RequestAborted);
        await body.WriteAsync(EventEnd, context.RequestAborted);
    }
}
