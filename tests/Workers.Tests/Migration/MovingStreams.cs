using System.Diagnostics;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>
/// The owner of many streams over several workers, as a silo is: one current epoch a stream, at most one successor that
/// may take over, tokens only of the current epoch and only the next index. Throws on a gap or a contradiction.
/// </summary>
internal sealed class MovingStreams
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly Lock _lock = new();
    private readonly MigrationBench[] _workers;
    private readonly WorkerOwner[] _owners;
    private readonly Dictionary<string, Stream> _streams = [];
    private string? _violation;

    public MovingStreams(params MigrationBench[] workers)
    {
        _workers = workers;
        _owners = [.. workers.Select((_, i) => new WorkerOwner(this, i))];
    }

    /// <summary>Migrations that committed.</summary>
    public int Moves { get; private set; }

    /// <summary>Migrations that did not, for any reason.</summary>
    public int Stays { get; private set; }

    private IEnumerable<Stream> Held => _streams.Values.Where(stream => stream.Held != 0);

    public void Begin(string name, int[] prompt, int maxOutput, int worker)
    {
        lock (_lock)
        {
            var stream = new Stream(name, prompt, maxOutput) { Worker = worker };
            _streams.Add(name, stream);
            _workers[worker].Start(Start(name, prompt, maxOutput), _owners[worker]);
        }
    }

    /// <summary>Begins a migration, unless one is under way or the stream has ended.</summary>
    public bool TryMove(string name, int target)
    {
        lock (_lock)
        {
            var stream = _streams[name];
            if (stream.Successor is not null || stream.Worker == target || stream.Done.Task.IsCompleted) return false;
            stream.Successor = (++stream.LastEpoch, target);
            _workers[target].Take(
                Start(name, stream.Prompt, stream.MaxOutput, epoch: stream.LastEpoch, output: [.. stream.Tokens]),
                _workers[stream.Worker], stream.Epoch, _owners[target]);
            return true;
        }
    }

    public void Cancel(string name)
    {
        lock (_lock)
        {
            var stream = _streams[name];
            stream.Cancelled = true;
            stream.Done.TrySetResult();
            AbortAll(stream);
        }
    }

    public async Task<int[]> WhenDoneAsync(string name)
    {
        Task done;
        lock (_lock) done = _streams[name].Done.Task;
        await done.WaitAsync(Limit);
        lock (_lock)
        {
            Assert.Null(_violation);
            return [.. _streams[name].Tokens];
        }
    }

    /// <summary>Every worker has said RELEASED of everything it accepted.</summary>
    public Task WhenQuietAsync() => WhenAsync(() => !Held.Any());

    public async Task WhenAsync(Func<bool> condition)
    {
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(1))
        {
            lock (_lock)
            {
                Assert.Null(_violation);
                if (condition()) return;
                Assert.True(clock.Elapsed < Limit, $"{Moves} moves, {Stays} stays; held: {string.Join(", ", Held)}");
            }
        }
    }

    private void AbortAll(Stream stream)
    {
        _workers[stream.Worker].Abort(stream.Name, stream.Epoch, _owners[stream.Worker]);
        if (stream.Successor is var (epoch, target)) _workers[target].Abort(stream.Name, epoch, _owners[target]);
    }

    private void Take(TokenRun run)
    {
        var stream = _streams[run.Key.RequestId];
        if (run.Key.Epoch != stream.Epoch || stream.Done.Task.IsCompleted) return;
        if (run.FirstIndex > stream.Tokens.Count) _violation ??= $"{run.Key}: a gap before {run.FirstIndex}";
        for (var i = 0; i < run.Tokens.Count; i++)
        {
            var index = (int)run.FirstIndex + i;
            if (index == stream.Tokens.Count) stream.Tokens.Add((int)run.Tokens[i]);
            else if (stream.Tokens[index] != (int)run.Tokens[i]) _violation ??= $"{run.Key}: token {index} differs";
        }

        if (run.Finish != FinishReason.Unspecified) stream.Done.TrySetResult();
    }

    private void Take(SequenceEvent change)
    {
        var stream = _streams[change.Key.RequestId];
        var epoch = (int)change.Key.Epoch;
        switch (change.Kind)
        {
            case SequenceEventKind.Accepted: stream.Held++; break;
            case SequenceEventKind.MigrationCommitted when stream.Successor?.Epoch == epoch:
                var (worker, old) = (stream.Worker, stream.Epoch);
                (stream.Worker, stream.Epoch) = (stream.Successor!.Value.Target, epoch);
                stream.Successor = null;
                Moves++;
                _workers[worker].Abort(stream.Name, old, _owners[worker]);
                if (stream.Cancelled) AbortAll(stream);
                break;
            case SequenceEventKind.MigrationAborted when stream.Successor?.Epoch == epoch:
                stream.Successor = null;
                Stays++;
                break;
            case SequenceEventKind.Failed when epoch == stream.Epoch:
                _violation ??= $"{change.Key} failed: {change.ErrorCode} {change.Message}";
                stream.Done.TrySetResult();
                break;
            case SequenceEventKind.Failed when stream.Successor?.Epoch == epoch:
                stream.Successor = null;
                Stays++;
                break;
            case SequenceEventKind.Released:
                // Told again for an abort of what is not there: counted once.
                if (stream.Released.Add(epoch)) stream.Held = Math.Max(0, stream.Held - 1);
                break;
            default: break;
        }
    }

    private sealed class WorkerOwner(MovingStreams streams, int index) : ISequenceOwner
    {
        public void Deliver(TokenBatch tokens)
        {
            lock (streams._lock)
            {
                foreach (var run in tokens.Runs) streams.Take(run);
            }
        }

        public void Deliver(SequenceEvent change)
        {
            lock (streams._lock) streams.Take(change);
        }

        public override string ToString() => $"owner of worker {index}";
    }

    private sealed class Stream(string name, int[] prompt, int maxOutput)
    {
        public string Name { get; } = name;

        public int[] Prompt { get; } = prompt;

        public int MaxOutput { get; } = maxOutput;

        public int Worker { get; set; }

        public int Epoch { get; set; } = 1;

        public int LastEpoch { get; set; } = 1;

        public (int Epoch, int Target)? Successor { get; set; }

        public List<int> Tokens { get; } = [];

        public bool Cancelled { get; set; }

        public int Held { get; set; }

        public HashSet<int> Released { get; } = [];

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override string ToString() => $"{Name}@{Epoch}: {Held}";
    }
}
