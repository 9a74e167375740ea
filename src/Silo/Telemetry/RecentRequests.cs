using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Telemetry;

/// <summary>One request of this silo's gateway as an operator sees it in a list. Holds no text.</summary>
internal sealed class RecentRequest(string id, AnswerKind kind, DateTimeOffset arrivedAt)
{
    private TimeSpan? _ttft;
    private TimeSpan? _tpot;
    private int _outputTokens;

    public string Id { get; private set; } = id;

    public AnswerKind Kind => kind;

    public DateTimeOffset ArrivedAt => arrivedAt;

    public int PromptTokens { get; private set; }

    public int Sequences { get; private set; } = 1;

    public bool IsStreamed { get; private set; }

    /// <summary>Null while it runs.</summary>
    public RequestEnding? Ending { get; private set; }

    /// <summary>UTC; null while it runs.</summary>
    public DateTimeOffset? EndedAt { get; private set; }

    /// <summary>Null before it was let in, and again after its end.</summary>
    public AnswerRun? Run { get; set; }

    public TimeSpan? Ttft => Run?.Watches.FirstOrDefault()?.Ttft ?? _ttft;

    public TimeSpan? Tpot => Slowest(Run) ?? _tpot;

    public int OutputTokens => Run?.Watches.Sum(watch => watch.Tokens) ?? _outputTokens;

    public void Read(GenerationRequest request)
    {
        Id = request.Spec.RequestId;
        PromptTokens = request.Spec.PromptTokens.Length;
        Sequences = request.Specs.Length;
        IsStreamed = request.Stream;
    }

    /// <summary>What it has shown stays; the run with its tokens does not.</summary>
    public void End(RequestEnding ending, DateTimeOffset at)
    {
        (_ttft, _tpot, _outputTokens) = (Ttft, Tpot, OutputTokens);
        (Ending, EndedAt) = (ending, at);
    }

    /// <summary>Lets the run go.</summary>
    public void Forget() => Run = null;

    private static TimeSpan? Slowest(AnswerRun? run) => run?.Watches.Max(watch => watch.Tpot);
}

/// <summary>The requests that run, and the newest that have ended. Any thread.</summary>
internal sealed class RecentRequests
{
    private const int EndedMax = 200;

    private readonly Lock _gate = new();
    private readonly LinkedList<RecentRequest> _running = [];
    private readonly Queue<RecentRequest> _ended = new(EndedMax);

    /// <summary>Running ones that have no token yet.</summary>
    public int QueuedCount
    {
        get
        {
            lock (_gate) return _running.Count(entry => entry.Run is not null && entry.Ttft is null);
        }
    }

    /// <summary>Running and ended ones.</summary>
    public int Count
    {
        get
        {
            lock (_gate) return _running.Count + _ended.Count;
        }
    }

    public void Begin(RecentRequest entry)
    {
        lock (_gate) _running.AddLast(entry);
    }

    public void End(RecentRequest entry)
    {
        lock (_gate)
        {
            _running.Remove(entry);
            if (_ended.Count == EndedMax) _ended.Dequeue();
            _ended.Enqueue(entry);
        }
    }

    /// <summary>Newest first, the running ones before the ended.</summary>
    public IReadOnlyList<RecentRequest> List()
    {
        lock (_gate) return [.. _running.Reverse(), .. _ended.Reverse()];
    }
}
