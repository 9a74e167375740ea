using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Admission;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// One answer's server-sent events on their way to a client. It begins with the first event, so that an error before it
/// is a real status, or with the first keep-alive: whatever the answer waits for, the client and the proxies before it
/// hear something once in a while. Invariant: an event is written whole, and nothing behind the end.
/// </summary>
internal sealed class AnswerStream : IAsyncDisposable
{
    /// <summary>Written but not sent: beyond it the client's pace is waited for.</summary>
    private const int UnsentBytesMax = 64 << 10;

    private readonly HttpContext _context;
    private readonly string _requestId;
    private readonly PipeWriter _body;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly long _after;

    // Whoever writes has it.
    private readonly SemaphoreSlim _writing = new(1);
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _beats;

    private AnswerEvent? _ping;
    private BudgetState? _budget;
    private bool _isBegun;
    private bool _hasSent;
    private bool _isOver;
    private long _number;
    private long _sentAt;

    /// <param name="context">The HTTP request.</param>
    /// <param name="requestId">Whose answer it is.</param>
    /// <param name="options">For how long a stream may be silent, and a client may leave what waits for it unread; then
    /// it is cut off.</param>
    /// <param name="time">Of both.</param>
    /// <param name="after">Number of the last event that the client has: later ones are sent. 0 = none.</param>
    public AnswerStream(
        HttpContext context, string requestId, SiloOptions options, TimeProvider time, long after = 0)
    {
        (_context, _requestId, _time, _after) = (context, requestId, time, after);
        _body = context.Response.BodyWriter;
        _patience = options.ReaderPatience;
        _sentAt = time.GetTimestamp();
        _beats = options.StreamKeepAlive > TimeSpan.Zero ? BeatAsync(options.StreamKeepAlive) : Task.CompletedTask;
    }

    /// <summary>Sends events, numbered, but for those that the client has.</summary>
    /// <param name="events">What comes next.</param>
    /// <param name="flushes">No more will follow at once.</param>
    public async ValueTask SendAsync(IEnumerable<AnswerEvent> events, bool flushes)
    {
        await _writing.WaitAsync();
        try
        {
            WriteNumbered(events);
            if (flushes || _body.UnflushedBytes > UnsentBytesMax) await FlushAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Sends the last events.</summary>
    public ValueTask EndAsync(IEnumerable<AnswerEvent> events)
    {
        _isOver = true;
        return SendAsync(events, flushes: true);
    }

    /// <summary>The answer is on its way: what its first bytes tell, and what stands for a comment behind them.
    /// </summary>
    public void Started(BudgetState? budget, AnswerEvent? ping) => (_budget, _ping) = (budget, ping);

    /// <summary>
    /// Sends an error's events, without numbers: a client that resumes behind them gets everything behind the last
    /// numbered one. Then breaks the connection, for a client library that overlooks the event must not take a cut
    /// answer for a whole one. Returns when nothing has been sent: then the error can still be a real status.
    /// </summary>
    public async Task FailAsync(KreweException error, Func<IEnumerable<AnswerEvent>> events)
    {
        await _writing.WaitAsync();
        try
        {
            _isOver = true;
            if (!_isBegun) return;
            foreach (var item in events()) Write(item, number: null);
            await FlushAsync();
        }
        finally
        {
            _writing.Release();
        }

        // HttpContext.Abort() could drop what was just written. The server ends a response that fails after it has
        // begun by sending everything and closing the connection without the terminator; this exception it does not
        // log as ours.
        throw new BadHttpRequestException("The answer failed after it had begun.", error);
    }

    /// <summary>Nothing is written here until <see cref="Release"/>: somebody else may write the answer.</summary>
    public Task HoldAsync() => _writing.WaitAsync();

    /// <param name="isAnswered">Somebody else has: nothing follows here.</param>
    public void Release(bool isAnswered)
    {
        // Begun elsewhere, and broken off there.
        _isOver |= isAnswered || (_context.Response.HasStarted && !_isBegun);
        _writing.Release();
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _beats;
        _ended.Dispose();
        _writing.Dispose();
    }

    /// <summary>Waits for one silence after the other; tokens move only the time that the next one counts from.
    /// </summary>
    private async Task BeatAsync(TimeSpan silence)
    {
        try
        {
            while (true)
            {
                // Whole milliseconds are all that timers know: less would be no wait.
                var left = Math.Ceiling(Math.Max(1, LeftOf(silence).TotalMilliseconds));
                // The answer may begin meanwhile, and its silences are shorter.
                if (left > silence.TotalMilliseconds) left = Math.Ceiling(silence.TotalMilliseconds);
                await Task.Delay(TimeSpan.FromMilliseconds(left), _time, _ended.Token);
                await _writing.WaitAsync(_ended.Token);
                try
                {
                    if (_isOver) return;
                    if (LeftOf(silence) <= TimeSpan.Zero) await WriteBeatAsync();
                }
                finally
                {
                    _writing.Release();
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or BadHttpRequestException)
        {
            // The answer is over, or its client is gone, which whoever writes the answer hears too.
        }
    }

    /// <summary>Twice as long before anything was sent: a refusal by then still has its status.</summary>
    private TimeSpan LeftOf(TimeSpan silence) => (_isBegun ? silence : 2 * silence) - _time.GetElapsedTime(_sentAt);

    private async ValueTask WriteBeatAsync()
    {
        Begin();
        if (_number > 0 && _ping is { } ping) Write(ping, number: null);
        else _body.Write(": keep-alive\n\n"u8);
        await FlushAsync();
    }

    private void WriteNumbered(IEnumerable<AnswerEvent> events)
    {
        Begin();
        foreach (var item in events)
        {
            if (++_number > _after) Write(item, _number);
        }
    }

    private void Begin()
    {
        if (_isBegun) return;
        _isBegun = true;
        var response = _context.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // A proxy that collects events before it passes them on would take the stream's use away.
        response.Headers["X-Accel-Buffering"] = "no";
        response.Headers.Remove(HeaderNames.ContentLength);
        response.Headers[ErrorMiddleware.RequestIdHeader] = RequestIds.Outside(_requestId);
        BudgetHeaders.Write(response, _budget);
    }

    private void Write(AnswerEvent item, long? number)
    {
        if (number is { } id)
        {
            Span<byte> digits = stackalloc byte[20];
            _body.Write("id: "u8);
            id.TryFormat(digits, out var length, default, CultureInfo.InvariantCulture);
            _body.Write(digits[..length]);
            _body.Write("\n"u8);
        }

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

    private async ValueTask FlushAsync()
    {
        var aborted = _context.RequestAborted;
        aborted.ThrowIfCancellationRequested();
        // The first time it sends the headers: a client that has all events so far must not wait for them.
        if (_body.UnflushedBytes == 0 && _hasSent) return;
        var flush = _body.FlushAsync(aborted);
        try
        {
            if (flush.IsCompleted)
                await flush;
            else
                await flush.AsTask().WaitAsync(_patience, _time, aborted);
        }
        catch (TimeoutException e)
        {
            _context.Abort();
            throw new BadHttpRequestException("The client does not read its answer.", e);
        }

        aborted.ThrowIfCancellationRequested();
        (_hasSent, _sentAt) = (true, _time.GetTimestamp());
    }
}
