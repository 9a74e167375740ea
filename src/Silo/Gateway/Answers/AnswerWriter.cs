using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>How long a reader may take nothing.</summary>
internal readonly record struct ReaderPatience(TimeSpan Limit, TimeProvider Time);

/// <summary>
/// Writes an answer to its client, in one piece or as server-sent events. Nothing is sent before the first token, so
/// that an error before it is a real status.
/// </summary>
internal static class AnswerWriter
{
    /// <summary>Written but not sent: beyond it the client's pace is waited for.</summary>
    private const int UnsentBytesMax = 64 << 10;

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

    /// <param name="patience">For a client that does not read what waits for it; then it is cut off.</param>
    /// <param name="after">Number of the last event that the client has: later ones are sent. 0 = none.</param>
    public static async Task WriteStreamAsync(
        HttpContext context, AnswerRun run, IAnswerFormat format, ReaderPatience patience, long after = 0)
    {
        var aborted = context.RequestAborted;
        var reader = run.OpenReader();
        var next = await reader.NextAsync(aborted);
        BeginEvents(context.Response);
        var events = new EventWriter(context, patience, after);
        events.Write(format.Open(run.UsageOf(0)));
        while (next is var (sequence, delta))
        {
            events.Write(format.Next(sequence, delta, reader.Usage));
            if (!reader.HasNext || events.UnsentBytes > UnsentBytesMax) await events.FlushAsync(aborted);
            try
            {
                next = await reader.NextAsync(aborted);
            }
            catch (KreweException e)
            {
                events.WriteUnnumbered(format.Fail(e));
                await events.FlushAsync(aborted);
                // HttpContext.Abort() could drop what was just written. The server ends a response that fails after it
                // has begun by sending everything and closing the connection without the terminator; this exception it
                // does not log as ours. The connection is broken because a client library that overlooks the event must
                // not take a cut answer for a whole one.
                throw new BadHttpRequestException("The answer failed after it had begun.", e);
            }
        }

        events.Write(format.Close(reader.Usage));
        await events.FlushAsync(aborted);
    }

    private static void BeginEvents(HttpResponse response)
    {
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // A proxy that collects events before it passes them on would take the stream's use away.
        response.Headers["X-Accel-Buffering"] = "no";
        response.Headers.Remove(HeaderNames.ContentLength);
    }

    /// <summary>A sequence while it is collected.</summary>
    private sealed class ChoiceParts
    {
        private readonly StringBuilder _text = new();
        private readonly List<int> _tokens = [];
        private readonly List<Wire.TokenLogprobs> _logprobs = [];
        private AnswerEnd? _end;

        public void Add(AnswerDelta delta)
        {
            _text.Append(delta.Text);
            if (delta.Token is { } token) _tokens.Add(token);
            if (delta.Logprobs is { } logprobs) _logprobs.Add(logprobs);
            _end = delta.End;
        }

        public WholeChoice ToChoice(int sequence) =>
            new(sequence, sequence, _text.ToString(), _tokens, _logprobs, _end!);
    }

    /// <summary>Numbers events from 1 and leaves out what the client has.</summary>
    private sealed class EventWriter(HttpContext context, ReaderPatience patience, long after)
    {
        private readonly PipeWriter _body = context.Response.BodyWriter;
        private long _number;

        public long UnsentBytes => _body.UnflushedBytes;

        public void Write(IEnumerable<AnswerEvent> events)
        {
            Span<byte> digits = stackalloc byte[20];
            foreach (var item in events)
            {
                if (++_number <= after) continue;
                _body.Write("id: "u8);
                _number.TryFormat(digits, out var length, default, CultureInfo.InvariantCulture);
                _body.Write(digits[..length]);
                _body.Write("\n"u8);
                WriteBody(item);
            }
        }

        /// <summary>A client that resumes behind an error gets everything behind the last numbered event.</summary>
        public void WriteUnnumbered(IEnumerable<AnswerEvent> events)
        {
            foreach (var item in events) WriteBody(item);
        }

        public async ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            var flush = _body.FlushAsync(cancellationToken);
            try
            {
                if (flush.IsCompleted)
                    await flush;
                else
                    await flush.AsTask().WaitAsync(patience.Limit, patience.Time, cancellationToken);
            }
            catch (TimeoutException e)
            {
                context.Abort();
                throw new BadHttpRequestException("The client does not read its answer.", e);
            }

            cancellationToken.ThrowIfCancellationRequested();
        }

        private void WriteBody(AnswerEvent item)
        {
            if (item.Name is { } name)
            {
                _body.Write("event: "u8);
                _body.Write(Encoding.UTF8.GetBytes(name));
                _body.Write("\n"u8);
            }

            _body.Write("data: "u8);
            _body.Write(item.Data.Span);
            _body.Write("\n\n"u8);
        }
    }
}
