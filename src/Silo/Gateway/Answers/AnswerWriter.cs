using System.Text;
using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>Writes an answer to its client, in one piece or as server-sent events.</summary>
internal static class AnswerWriter
{
    public static async Task WriteWholeAsync(HttpContext context, AnswerRun run, IAnswerFormat format) =>
        await ErrorWriter.WriteJsonAsync(
            context.Response, await CollectAsync(run, format, context.RequestAborted));

    /// <summary>Waits for the whole answer. Its JSON object.</summary>
    public static async Task<byte[]> CollectAsync(
        AnswerRun run, IAnswerFormat format, CancellationToken cancellationToken)
    {
        var reader = run.OpenReader();
        var parts = run.Request.Specs.Select(_ => new ChoiceParts()).ToArray();
        while (await reader.NextAsync(cancellationToken) is var (sequence, delta)) parts[sequence].Add(delta);
        var choices = BestOf.Choose(run.Request, [.. parts.Select((part, i) => part.ToChoice(i))]);
        return format.Whole(choices, reader.Usage);
    }

    /// <summary>Sends the answer's events to the last one. Throws the answer's error when nothing has been sent.
    /// </summary>
    /// <param name="aborted">The client is gone.</param>
    public static async Task WriteStreamAsync(
        AnswerStream stream, AnswerRun run, IAnswerFormat format, CancellationToken aborted)
    {
        var reader = run.OpenReader();
        try
        {
            stream.Started(run.Budget, format.Ping);
            var next = await reader.NextAsync(aborted);
            await stream.SendAsync(format.Open(run.UsageOf(0)), flushes: false);
            while (next is var (sequence, delta))
            {
                await stream.SendAsync(format.Next(sequence, delta, reader.Usage), flushes: !reader.HasNext);
                next = await reader.NextAsync(aborted);
            }
        }
        catch (KreweException e)
        {
            await stream.FailAsync(e, () => format.Fail(e));
            throw;
        }

        await stream.EndAsync(format.Close(reader.Usage));
    }

    /// <summary>A sequence while it is collected.</summary>
    private sealed class ChoiceParts
    {
        private readonly StringBuilder _text = new();
        private readonly List<int> _tokens = [];
        private readonly List<Wire.TokenLogprobs> _logprobs = [];
        private AnswerEnd? _end;
        private int _reasoningTokens;

        public void Add(AnswerDelta delta)
        {
            _text.Append(delta.Text);
            if (delta.Token is { } token) _tokens.Add(token);
            if (delta.Logprobs is { } logprobs) _logprobs.Add(logprobs);
            (_end, _reasoningTokens) = (delta.End, delta.ReasoningTokens);
        }

        public WholeChoice ToChoice(int sequence) =>
            new(sequence, sequence, _text.ToString(), _tokens, _logprobs, _end!)
            {
                ReasoningTokens = _reasoningTokens,
            };
    }
}
