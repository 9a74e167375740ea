using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Silo.Telemetry;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Streams;

/// <summary>
/// The owner of one sequence's output tokens. Invariant: it takes only the next index of the current epoch, so that
/// nothing is lost and nothing is doubled, whichever worker's link is faster; it ends exactly once.
/// </summary>
/// <remarks>Keeps every token to the end: a continuation computes on behind them, and a slow client reads them later.
/// The context's length bounds them (four bytes a token). Links write, any number of readers read.</remarks>
/// <param name="requestId">Whose.</param>
/// <param name="reports">The way to its grain.</param>
/// <param name="counters">This silo's.</param>
/// <param name="choice">Which of the request's sequences.</param>
/// <param name="promptLogprobs">Log-probabilities that the prompt is to have: tokens wait for them.</param>
/// <param name="watch">Times it; null = nobody does.</param>
internal sealed partial class RequestStream(
    string requestId, RequestReports reports, StreamCounters counters, int choice = 0, int promptLogprobs = 0,
    SequenceWatch? watch = null)
{
    private const string StopReason = "stop";

    private readonly Lock _gate = new();
    private readonly List<int> _tokens = [];

    // One for each token, or none at all.
    private readonly List<Wire.TokenLogprobs> _logprobs = [];

    // Of the prompt tokens from the second on.
    private readonly List<Wire.TokenLogprobs> _promptLogprobs = [];

    // Completed by the next change; null while nobody waits.
    private TaskCompletionSource? _change;

    private int _epoch;
    private StreamEnd? _end;

    public string RequestId => requestId;

    /// <summary>Which of the request's sequences.</summary>
    public int Choice => choice;

    /// <summary>Tokens that the owner has.</summary>
    public int TokenCount
    {
        get
        {
            lock (_gate) return _tokens.Count;
        }
    }

    public int PromptLogprobsCount
    {
        get
        {
            lock (_gate) return _promptLogprobs.Count;
        }
    }

    /// <summary>The way to the request's grain.</summary>
    public RequestReports Reports => reports;

    /// <summary>Null where nobody times it.</summary>
    public SequenceWatch? Watch => watch;

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

    /// <summary>Some of the prompt's log-probabilities are not there.</summary>
    public bool LacksPromptLogprobs => PromptLogprobsCount < promptLogprobs;

    /// <summary>Waits until the prompt has all its log-probabilities.</summary>
    public async Task WhenPromptScoredAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task change;
            lock (_gate)
            {
                if (_promptLogprobs.Count >= promptLogprobs) return;
                _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                change = _change.Task;
            }

            await change.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The prompt's log-probabilities so far, from its second token on.</summary>
    public Wire.TokenLogprobs[] PromptLogprobs()
    {
        lock (_gate) return [.. _promptLogprobs];
    }

    /// <summary>Takes what is new of a prompt's log-probabilities. They are the same in every epoch.</summary>
    public void Accept(Wire.PromptRun run)
    {
        TaskCompletionSource? change;
        lock (_gate)
        {
            if (run.Key.Epoch != _epoch || run.FirstIndex == 0) return;
            var known = _promptLogprobs.Count - ((long)run.FirstIndex - 1);
            if (known < 0 || known >= run.Logprobs.Count) return;
            for (var i = (int)known; i < run.Logprobs.Count; i++) _promptLogprobs.Add(run.Logprobs[i]);
            change = TakeChange();
        }

        change?.SetResult();
    }

    /// <summary>Takes what is new of a worker's run.</summary>
    public void Accept(Wire.TokenRun run)
    {
        TaskCompletionSource? change;
        StreamEnd? end;
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
            Append(run, known);
            var taken = run.Tokens.Count - known;
            counters.AddAccepted(taken);
            if (taken > 0) watch?.TokensTaken(taken);
            if (taken > 0 && taken == _tokens.Count) Report(RequestReportKind.FirstToken, null);
            if (run.Finish != Wire.FinishReason.Unspecified && first + run.Tokens.Count == _tokens.Count)
            {
                var stopped = run.Finish == Wire.FinishReason.Stop;
                var reason = stopped ? StopReason : "length";
                _end = new StreamEnd.Finished(reason, ByStopToken: stopped);
                Report(RequestReportKind.Finished, reason);
            }

            (change, end) = (TakeChange(), _end);
        }

        change?.SetResult();
        if (end is not null) watch?.Ended(end);
    }

    /// <summary>
    /// A reader found a stop string complete with the first <paramref name="tokens"/>: the answer ends there, whatever
    /// came behind it. True when the workers may still compute for it.
    /// </summary>
    public bool TryStop(int tokens)
    {
        TaskCompletionSource? change;
        bool computes;
        lock (_gate)
        {
            if (_end is StreamEnd.Failed or StreamEnd.Closed) return false;
            if (_end is StreamEnd.Finished { Reason: StopReason, ByStopToken: false }) return false;
            computes = _end is null;
            _end = new StreamEnd.Finished(StopReason);
            _tokens.RemoveRange(tokens, _tokens.Count - tokens);
            if (_logprobs.Count > tokens) _logprobs.RemoveRange(tokens, _logprobs.Count - tokens);
            change = TakeChange();
        }

        change?.SetResult();
        watch?.Ended(new StreamEnd.Finished(StopReason));
        return computes;
    }

    /// <summary>Ends the stream from outside; false when it has ended already: the first end stands.</summary>
    public bool TryEnd(StreamEnd end)
    {
        TaskCompletionSource? change;
        lock (_gate)
        {
            if (_end is not null) return false;
            _end = end;
            change = TakeChange();
        }

        change?.SetResult();
        watch?.Ended(end);
        return true;
    }

    /// <summary>
    /// Waits for tokens from index <paramref name="cursor"/> on, or the end. Tokens that were taken before an error are
    /// delivered with it.
    /// </summary>
    public async ValueTask<StreamRead> ReadAsync(int cursor, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task change;
            lock (_gate)
            {
                if ((cursor < _tokens.Count && _promptLogprobs.Count >= promptLogprobs) || _end is not null)
                {
                    // A stop string may have cut tokens that this reader has read.
                    cursor = Math.Min(cursor, _tokens.Count);
                    return new StreamRead(
                        CollectionsMarshal.AsSpan(_tokens)[cursor..].ToArray(),
                        _logprobs.Count == 0 ? [] : CollectionsMarshal.AsSpan(_logprobs)[cursor..].ToArray(), _end);
                }

                _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                change = _change.Task;
            }

            await change.WaitAsync(cancellationToken);
        }
    }

    private TaskCompletionSource? TakeChange()
    {
        var change = _change;
        _change = null;
        return change;
    }

    /// <summary>A run without log-probabilities where others had them leaves the stream without: no pair may be wrong.
    /// </summary>
    private void Append(Wire.TokenRun run, int known)
    {
        var paired = run.Logprobs.Count == run.Tokens.Count && _logprobs.Count == _tokens.Count;
        if (!paired) _logprobs.Clear();
        for (var i = known; i < run.Tokens.Count; i++)
        {
            _tokens.Add((int)run.Tokens[i]);
            if (paired) _logprobs.Add(run.Logprobs[i]);
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
