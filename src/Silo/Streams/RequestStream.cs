using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Krewe.Abstractions;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Streams;

/// <summary>
/// The owner of one request's output tokens. Invariant: it takes only the next index of the current epoch, so that
/// nothing is lost and nothing is doubled, whichever worker's link is faster; it ends exactly once.
/// </summary>
/// <remarks>Keeps every token to the end: a continuation computes on behind them, and a slow client reads them later.
/// The context's length bounds them (four bytes a token). Links write, one gateway task reads.</remarks>
internal sealed partial class RequestStream(string requestId, RequestReports reports, StreamCounters counters)
{
    private readonly Lock _gate = new();
    private readonly List<int> _tokens = [];

    // Rung on every change; one ring is enough for any number of changes because the reader looks at all of them.
    private readonly Channel<bool> _bell = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private int _epoch;
    private StreamEnd? _end;

    public string RequestId => requestId;

    /// <summary>The way to the request's grain.</summary>
    public RequestReports Reports => reports;

    /// <summary>Null while the stream lives.</summary>
    public StreamEnd? End
    {
        get
        {
            lock (_gate) return _end;
        }
    }

    /// <summary>
    /// From now on only <paramref name="epoch"/> counts. Returns the tokens that the owner has. Throws
    /// <see cref="KreweException"/> when the stream has ended, or when the epoch is not newer than the current one.
    /// </summary>
    public ImmutableArray<int> BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            if (_end is not null)
                throw new KreweException(ErrorCode.ClientClosedRequest, $"The stream of {requestId} has ended.");
            if (epoch <= _epoch)
            {
                throw new KreweException(
                    ErrorCode.Internal, $"Epoch {epoch} of {requestId} was begun after epoch {_epoch}.");
            }

            (_epoch, _successor) = (epoch, null);
            return [.. _tokens];
        }
    }

    /// <summary>Takes what is new of a worker's run.</summary>
    public void Accept(Wire.TokenRun run)
    {
        var taken = 0;
        lock (_gate)
        {
            if (run.Key.Epoch != _epoch)
            {
                counters.AddStale(run.Tokens.Count);
                return;
            }

            if (_end is not null)
            {
                counters.AddLate(run.Tokens.Count);
                return;
            }

            if (run.FirstIndex > _tokens.Count)
            {
                counters.AddEarly(run.Tokens.Count);
                return;
            }

            var first = (int)run.FirstIndex;
            var known = Math.Min(_tokens.Count - first, run.Tokens.Count);
            CountDuplicates(run, first, known);
            for (var i = known; i < run.Tokens.Count; i++) _tokens.Add((int)run.Tokens[i]);
            taken = run.Tokens.Count - known;
            counters.AddAccepted(taken);
            if (taken > 0 && taken == _tokens.Count) Report(RequestReportKind.FirstToken, null);
            if (run.Finish != Wire.FinishReason.Unspecified && first + run.Tokens.Count == _tokens.Count)
            {
                var reason = run.Finish == Wire.FinishReason.Stop ? "stop" : "length";
                _end = new StreamEnd.Finished(reason);
                Report(RequestReportKind.Finished, reason);
            }
        }

        _bell.Writer.TryWrite(true);
    }

    /// <summary>Ends the stream from outside; false when it has ended already: the first end stands.</summary>
    public bool TryEnd(StreamEnd end)
    {
        lock (_gate)
        {
            if (_end is not null) return false;
            _end = end;
        }

        _bell.Writer.TryWrite(true);
        return true;
    }

    /// <summary>
    /// Waits for tokens from index <paramref name="cursor"/> on, or the end. One reader. Tokens that were taken before
    /// an error are delivered with it.
    /// </summary>
    public async ValueTask<StreamRead> ReadAsync(int cursor, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                if (cursor < _tokens.Count || _end is not null)
                    return new StreamRead(CollectionsMarshal.AsSpan(_tokens)[cursor..].ToArray(), _end);
            }

            await _bell.Reader.ReadAsync(cancellationToken);
        }
    }

    private void CountDuplicates(Wire.TokenRun run, int first, int known)
    {
        counters.AddDuplicate(known);
        for (var i = 0; i < known; i++)
        {
            if (_tokens[first + i] != (int)run.Tokens[i]) counters.AddContradicting(1);
        }
    }

    private void Report(RequestReportKind kind, string? finishReason) => reports.Send(new RequestReport
    {
        Kind = kind,
        Epoch = _epoch,
        FinishReason = finishReason,
        OutputTokens = _tokens.Count,
    });
}
