using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Requests;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Answers that clients may come back for. Such a request runs on without a reader, for a while; when it has ended its
/// tokens stay, for a while. Invariant: a request id is run at most once at a time, however often it is asked for.
/// </summary>
internal sealed partial class KeptAnswers(SiloOptions options, TimeProvider time, ILogger<KeptAnswers> log)
{
    /// <summary>Weight (see <see cref="AnswerRun.Weight"/>) of all ended answers that are kept; the oldest make room.
    /// </summary>
    private const long WeightMax = 64L << 20;

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly Queue<(string Id, Entry Entry, long Weight, long At)> _ended = [];
    private long _endedWeight;

    /// <summary>Running ones too.</summary>
    public int Count => _entries.Count;

    public Task<AnswerRun>? Find(string requestId) => _entries.GetValueOrDefault(requestId)?.Run.Task;

    /// <summary>
    /// The run of this request: the one that is there, or a new one. The caller reads it, and detaches from it. Throws
    /// <see cref="KreweException"/> (IdempotencyKeyReused) when the one that is there is of another body, or the error
    /// of the start, which everybody gets who waits for it.
    /// </summary>
    /// <param name="request">What was asked for.</param>
    /// <param name="start">Starts it; called at most once.</param>
    /// <param name="ended">Called when a run that was started here has ended.</param>
    public async Task<AnswerRun> JoinAsync(
        GenerationRequest request, Func<Task<AnswerRun>> start, Action<AnswerRun> ended)
    {
        var id = request.Spec.RequestId;
        var mine = new Entry();
        var entry = _entries.GetOrAdd(id, mine);
        if (entry != mine)
        {
            var run = await entry.Run.Task;
            if (run.Request.Origin!.Hash != request.Origin!.Hash) throw Reused();
            run.Attach();
            return run;
        }

        try
        {
            var run = await start();
            run.Attach();
            _ = SuperviseAsync(id, mine, run, ended);
            mine.Run.SetResult(run);
            return run;
        }
        catch (Exception e)
        {
            Remove(id, mine);
            mine.Run.SetException(e);
            // Observed, for nobody else may be waiting for it.
            _ = mine.Run.Task.Exception;
            throw;
        }
    }

    public static KreweException Reused() => new(
        ErrorCode.IdempotencyKeyReused,
        "This Idempotency-Key was sent before with another body; send every different request under a key of its own.",
        "Idempotency-Key");

    /// <summary>Reads the answer to its end, so that stop strings end it whether a client reads or not.</summary>
    [SuppressMessage("Design", "CA1031", Justification =
        "Nobody awaits it: whatever a grain's host throws must not leave the request's place at the door taken.")]
    private async Task SuperviseAsync(string id, Entry entry, AnswerRun run, Action<AnswerRun> ended)
    {
        try
        {
            await run.WatchAsync(options.ResumeWindow, time);
            await run.DisposeAsync();
        }
        catch (Exception e)
        {
            SuperviseFailed(log, e, id);
        }

        ended(run);
        if (run.IsFinished)
            Keep(id, entry, run.Weight);
        else
            // It has no answer: the same request may be tried again.
            Remove(id, entry);
    }

    /// <summary>Keeps one more, and forgets those whose time is over or whose room it needs.</summary>
    private void Keep(string id, Entry entry, long weight)
    {
        lock (_gate)
        {
            _ended.Enqueue((id, entry, weight, time.GetTimestamp()));
            _endedWeight += weight;
            while (_ended.TryPeek(out var oldest)
                && (_endedWeight > WeightMax || time.GetElapsedTime(oldest.At) > options.ResumeWindow))
            {
                _ended.Dequeue();
                _endedWeight -= oldest.Weight;
                Remove(oldest.Id, oldest.Entry);
            }
        }
    }

    private void Remove(string id, Entry entry) =>
        _entries.TryRemove(new KeyValuePair<string, Entry>(id, entry));

    /// <summary>One request id.</summary>
    private sealed class Entry
    {
        public TaskCompletionSource<AnswerRun> Run { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    [LoggerMessage(45, LogLevel.Warning, "Request {RequestId}, which may be resumed, was not watched to its end")]
    private static partial void SuperviseFailed(ILogger log, Exception error, string requestId);
}
