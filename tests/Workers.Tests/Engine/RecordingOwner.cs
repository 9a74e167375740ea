using Krewe.Abstractions.Wire;

namespace Krewe.Workers.Tests;

/// <summary>An owner that keeps what it is told, checks its order, and lets a test wait for it.</summary>
internal sealed class RecordingOwner : ISequenceOwner
{
    private readonly Lock _lock = new();
    private readonly List<(Func<bool> Condition, TaskCompletionSource Done)> _waits = [];
    private readonly Dictionary<string, SortedDictionary<int, int>> _tokens = [];
    private readonly List<SequenceEvent> _events = [];
    private readonly Dictionary<string, FinishReason> _finishes = [];

    public void Deliver(TokenBatch tokens)
    {
        lock (_lock)
        {
            foreach (var run in tokens.Runs)
            {
                var name = Name(run.Key);
                if (IsReleased(name)) throw new InvalidOperationException($"{name}: a token after RELEASED");
                if (_finishes.ContainsKey(name)) throw new InvalidOperationException($"{name}: a token after the last");
                if (!_tokens.TryGetValue(name, out var stream)) _tokens.Add(name, stream = []);
                for (var i = 0; i < run.Tokens.Count; i++) stream[(int)run.FirstIndex + i] = (int)run.Tokens[i];
                if (run.Finish != FinishReason.Unspecified) _finishes.Add(name, run.Finish);
            }

            Settle();
        }
    }

    public void Deliver(SequenceEvent change)
    {
        lock (_lock)
        {
            if (IsReleased(Name(change.Key)) && change.Kind != SequenceEventKind.Released)
                throw new InvalidOperationException($"{change.Key}: {change.Kind} after RELEASED");
            _events.Add(change);
            Settle();
        }
    }

    public int[] Tokens(string request, int epoch = 1)
    {
        lock (_lock)
        {
            if (!_tokens.TryGetValue($"{request}@{epoch}", out var stream)) return [];
            var first = stream.Keys.First();
            Assert.Equal(Enumerable.Range(first, stream.Count), stream.Keys);
            return [.. stream.Values];
        }
    }

    public SequenceEventKind[] Kinds(string request, int epoch = 1)
    {
        lock (_lock) return [.. _events.Where(e => Name(e.Key) == $"{request}@{epoch}").Select(e => e.Kind)];
    }

    public SequenceEvent Event(string request, SequenceEventKind kind, int epoch = 1)
    {
        lock (_lock) return _events.Single(e => Name(e.Key) == $"{request}@{epoch}" && e.Kind == kind);
    }

    public FinishReason Finish(string request, int epoch = 1)
    {
        lock (_lock) return _finishes.GetValueOrDefault($"{request}@{epoch}");
    }

    public Task WhenReleasedAsync(string request, int epoch = 1) => WhenAsync(() => IsReleased($"{request}@{epoch}"));

    public Task WhenAsync(string request, SequenceEventKind kind, int epoch = 1) =>
        WhenAsync(() => _events.Exists(e => Name(e.Key) == $"{request}@{epoch}" && e.Kind == kind));

    public Task WhenTokensAsync(string request, int count, int epoch = 1) => WhenAsync(
        () => _tokens.TryGetValue($"{request}@{epoch}", out var stream) && stream.Count >= count);

    private Task WhenAsync(Func<bool> condition)
    {
        lock (_lock)
        {
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waits.Add((condition, done));
            Settle();
            return done.Task.WaitAsync(TimeSpan.FromMinutes(2));
        }
    }

    private void Settle()
    {
        foreach (var (condition, done) in _waits)
        {
            if (condition()) done.TrySetResult();
        }

        _waits.RemoveAll(wait => wait.Done.Task.IsCompleted);
    }

    private bool IsReleased(string name) =>
        _events.Exists(e => Name(e.Key) == name && e.Kind == SequenceEventKind.Released);

    private static string Name(SequenceKey key) => $"{key.RequestId}@{key.Epoch}";
}
