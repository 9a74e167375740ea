using System.Collections.Concurrent;
using Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Harness;

/// <summary>
/// A worker without a model: it speaks the control link over a real socket and answers each sequence with the tokens
/// that its script has for the prompt, from the index the silo asks for.
/// </summary>
internal sealed class MockWorker : IAsyncDisposable
{
    private readonly ControlLink _link = new();
    private readonly ConcurrentDictionary<SequenceKey, CancellationTokenSource> _running = [];
    private readonly ConcurrentDictionary<SequenceKey, TaskCompletionSource> _prefilled = [];
    private readonly CancellationTokenSource _closed = new();
    private readonly SiloHarness _harness;
    private Task _reading = Task.CompletedTask;

    public MockWorker(SiloHarness harness, Hello hello) => (_harness, Hello) = (harness, hello);

    public Hello Hello { get; }

    /// <summary>Everything the silo asked this worker to start.</summary>
    public ConcurrentQueue<StartSequence> Started { get; } = [];

    /// <summary>Everything the silo asked this worker to abort.</summary>
    public ConcurrentQueue<SequenceKey> Aborted { get; } = [];

    /// <summary>Every role the silo told this worker to take.</summary>
    public ConcurrentQueue<WorkerRole> Roles { get; } = [];

    /// <summary>Where the next sequences wait; null = nowhere.</summary>
    public Hold? Hold { get; set; }

    /// <summary>Tokens in one run.</summary>
    public int TokensPerRun { get; set; } = 1;

    /// <summary>Its word that a prefill ended is late: later than all that follows from the prefill.</summary>
    public bool TellsPrefillEndLate { get; set; }

    /// <summary>Stops reporting load and heartbeats, with its socket open.</summary>
    public bool IsSilent { get; set; }

    public int RunningCount => _running.Count;

    /// <summary>Connects, says hello and gives the silo's reply; when welcome, it works from then on.</summary>
    public async Task<HelloReply> ConnectAsync()
    {
        await _link.ConnectAsync(_harness.Silo.LinkPort);
        await _link.SendAsync(new WorkerMessage { Hello = Hello });
        var welcome = (await _link.ReadAsync().InTime())?.Welcome
            ?? throw new IOException("The silo closed the link instead of answering the hello.");
        if (!welcome.Accepted) return welcome;
        await ReportLoadAsync();
        _reading = Task.WhenAll(ReadAsync(), BeatAsync(TimeSpan.FromMilliseconds(welcome.HeartbeatMs)));
        return welcome;
    }

    public Task ReportLoadAsync(bool draining = false) => SendAsync(new WorkerMessage
    {
        Load = new LoadReport
        {
            TotalBlocks = Hello.TotalBlocks,
            FreeBlocks = Hello.TotalBlocks,
            RunningSequences = (uint)_running.Count,
            Draining = draining,
        },
    });

    public Task SendAsync(WorkerMessage message) => _link.SendAsync(message);

    public Task SendAsync(TokenRun run) => SendAsync(new WorkerMessage { Tokens = new TokenBatch { Runs = { run } } });

    public Task SendAsync(SequenceKey key, SequenceEventKind kind, Action<SequenceEvent>? more = null)
    {
        var happened = new SequenceEvent { Key = key, Kind = kind };
        more?.Invoke(happened);
        return SendAsync(new WorkerMessage { Event = happened });
    }

    /// <summary>As kill -9: the socket closes and nothing more is said.</summary>
    public async Task KillAsync()
    {
        await _closed.CancelAsync();
        await _link.DisposeAsync();
        await _reading;
        _running.Clear();
    }

    /// <summary>Completes when this worker has prefilled the key and waits for its puller.</summary>
    public Task WhenPrefilled(SequenceKey key) => _prefilled.GetOrAdd(
        key, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>The worker holds nothing of the key any more.</summary>
    public Task ReleaseAsync(SequenceKey key) =>
        _running.TryRemove(key, out _) ? SendAsync(key, SequenceEventKind.Released) : Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _closed.Dispose();
    }

    private async Task BeatAsync(TimeSpan every)
    {
        using var beats = new PeriodicTimer(every);
        try
        {
            while (await beats.WaitForNextTickAsync(_closed.Token))
            {
                if (!IsSilent) await SendAsync(new WorkerMessage { Heartbeat = new Heartbeat() });
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The link is over.
        }
    }

    private async Task ReadAsync()
    {
        List<Task> work = [];
        while (await _link.ReadAsync() is { } message)
        {
            if (message.Start is { } start)
            {
                Started.Enqueue(start);
                var aborted = CancellationTokenSource.CreateLinkedTokenSource(_closed.Token);
                _running[start.Key] = aborted;
                work.Add(ServeAsync(start, aborted.Token));
            }
            else if (message.SetRole is { } change)
            {
                Roles.Enqueue(change.Role);
            }
            else if (message.Abort is { } abort)
            {
                Aborted.Enqueue(abort.Key);
                if (_running.TryGetValue(abort.Key, out var aborted)) await aborted.CancelAsync();
                try
                {
                    await ReleaseAsync(abort.Key);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    // A silo that ends aborts all and closes: the link is over.
                }
            }
        }

        await _closed.CancelAsync();
        await Task.WhenAll(work);
    }

    private async Task ServeAsync(StartSequence start, CancellationToken aborted)
    {
        try
        {
            await SendAsync(start.Key, SequenceEventKind.Accepted);
            if (start.Part != SequencePart.Decode) await PrefillAsync(start, aborted);
            if (start.Part != SequencePart.Prefill) await DecodeAsync(start, aborted);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // Aborted, or the link is over.
        }
    }

    private async Task PrefillAsync(StartSequence start, CancellationToken aborted)
    {
        await SendAsync(start.Key, SequenceEventKind.PrefillStarted, e => e.PrefixHitTokens = 1);
        if (Hold is { } hold && hold.Index == start.OutputTokens.Count) await hold.WaitAsync(aborted);
        var tokens = _harness.Script(start);
        if (start.Sampling.HasPromptLogprobs && start.PromptTokens.Count > 1)
        {
            var prompt = new PromptRun { Key = start.Key, FirstIndex = 1 };
            prompt.Logprobs.AddRange(start.PromptTokens.Skip(1)
                .Select(token => LogprobsOf(token, (int)start.Sampling.PromptLogprobs)));
            await SendAsync(new WorkerMessage { Tokens = new TokenBatch { Prompts = { prompt } } });
        }

        await SendAsync(RunOf(start, tokens, start.OutputTokens.Count, 1));
        if (!TellsPrefillEndLate) await SendAsync(start.Key, SequenceEventKind.PrefillFinished);
        _ = WhenPrefilled(start.Key);
        _prefilled[start.Key].TrySetResult();
    }

    private async Task DecodeAsync(StartSequence start, CancellationToken aborted)
    {
        if (start.Part == SequencePart.Decode)
        {
            await SendAsync(start.Key, SequenceEventKind.HandoffStarted);
            var source = _harness.Find(start.Source);
            await source.WhenPrefilled(start.Key).WaitAsync(aborted);
            await SendAsync(
                start.Key, SequenceEventKind.HandoffCommitted, e => (e.BlocksMoved, e.BytesMoved) = (2, 64));
            await source.ReleaseAsync(start.Key);
        }

        await SendAsync(start.Key, SequenceEventKind.DecodeStarted);
        var tokens = _harness.Script(start);
        for (var at = start.OutputTokens.Count; at < tokens.Length; at += TokensPerRun)
        {
            if (Hold is { } hold && hold.Index >= at && hold.Index < at + TokensPerRun) await hold.WaitAsync(aborted);
            await SendAsync(RunOf(start, tokens, at, Math.Min(TokensPerRun, tokens.Length - at)));
        }

        await ReleaseAsync(start.Key);
    }

    /// <summary>The token itself is the best; the others are the ids behind it.</summary>
    public static TokenLogprobs LogprobsOf(uint token, int alternatives)
    {
        var logprobs = new TokenLogprobs { Logprob = -token / 1024f, Rank = 1 };
        for (var i = 0u; i < alternatives; i++)
        {
            logprobs.TopTokens.Add((token + i) % 1024);
            logprobs.TopLogprobs.Add((-token / 1024f) - i);
        }

        return logprobs;
    }

    private static TokenRun RunOf(StartSequence start, int[] tokens, int first, int count)
    {
        var run = new TokenRun { Key = start.Key, FirstIndex = (uint)first };
        run.Tokens.AddRange(tokens.Skip(first).Take(count).Select(token => (uint)token));
        if (start.Sampling.HasTopLogprobs)
            run.Logprobs.AddRange(run.Tokens.Select(token => LogprobsOf(token, (int)start.Sampling.TopLogprobs)));
        if (first + count < tokens.Length) return run;
        run.Finish = tokens[^1] == TestModel.StopToken && !start.IgnoreEos ? FinishReason.Stop : FinishReason.Length;
        return run;
    }
}
