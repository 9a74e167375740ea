using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Krewe.Control.Steps;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// One worker's engine: a loop of commands → plan → compute → sample → tokens out. Invariant: only the engine thread
/// touches sequences, blocks, the runner and the sampler; everybody else posts commands and is called back.
/// Parts of the class: this file = loop, Sequences = life of a sequence, Steps = computing, Ahead = steps queued before
/// the last one's tokens are known, Handoff = both sides' events.
/// </summary>
internal sealed partial class Engine : IAsyncDisposable
{
    private readonly IModelRunner _runner;
    private readonly EngineSettings _settings;
    private readonly IPullStarter? _pulls;
    private readonly IMigrationStarter? _migrations;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly KvBlocks _kv;
    private readonly StepCompute _compute;
    private readonly OwnerOutbox _outbox;
    private readonly Dictionary<SequenceKey, Sequence> _sequences = [];
    private readonly WaitingQueue _waiting = new();
    private readonly List<Sequence> _running = [];
    private readonly ConcurrentQueue<EngineCommand> _commands = new();
    private readonly AutoResetEvent _wake = new(false); // not disposed: links may still post when the loop has ended
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ITimer _timer;
    private readonly long _epoch;
    private readonly Thread _thread;
    private volatile bool _stopping;
    private readonly Lock _loadLock = new();
    private EngineLoad _load;
    private bool _draining;
    private bool _unchecked;
    private long _arrivals;

    /// <summary>
    /// The runner must outlive the engine; <paramref name="pulls"/> null: no decode parts (a local run), and the same
    /// for <paramref name="migrations"/> and parts that migrate.
    /// </summary>
    public Engine(
        IModelRunner runner, EngineSettings settings, IPullStarter? pulls, PhaseHold? hold, TimeProvider time,
        ILogger logger, IMigrationStarter? migrations = null)
    {
        (_runner, _settings, _pulls, _hold, _time, _logger) = (runner, settings, pulls, hold, time, logger);
        (_migrations, _outbox) = (migrations, new OwnerOutbox(settings.Watch));
        _role = settings.Role;
        _kv = new KvBlocks(runner.Kv.BlockCount, runner.Kv.Geometry.BlockTokens, settings.Eviction);
        _tiers = settings.PrefixCache ? settings.Tiers : null;
        AttachTiers();
        _compute = new StepCompute(runner, logger);
        _snapshot = new StepSnapshot();
        _epoch = time.GetTimestamp();
        _load = MeasureLoad();
        _timer = time.CreateTimer(_ => _wake.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _thread = new Thread(RunThread) { Name = "krewe-engine", IsBackground = true };
    }

    /// <summary>Figures of the newest turn of the loop. Any thread.</summary>
    public EngineLoad Load
    {
        get
        {
            lock (_loadLock) return _load;
        }
    }

    /// <summary>Ends when the loop has ended; faulted when the engine broke and its worker must not go on.</summary>
    public Task Completion => _ended.Task;

    /// <summary>Completes when the engine drains and holds no sequence any more.</summary>
    public Task Drained => _drained.Task;

    private TimeSpan Now => _time.GetElapsedTime(_epoch);

    /// <summary>Begins the loop on a thread of its own. A test may call <see cref="Turn"/> instead.</summary>
    public void Start() => _thread.Start();

    /// <summary>Any thread. Commands are taken in the order of their posting.</summary>
    public void Post(EngineCommand command)
    {
        _commands.Enqueue(command);
        _wake.Set();
    }

    /// <summary>Ends the loop after its current step. Sequences get no more events.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        _wake.Set();
        if (_thread.IsAlive) await _ended.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _timer.DisposeAsync();
        _compute.Dispose();
    }

    /// <summary>One turn: takes what was posted and computes at most one step. True when there was a step.</summary>
    internal bool Turn()
    {
        if (!_commands.IsEmpty) SettleAhead();
        while (_commands.TryDequeue(out var command)) Apply(command);
        ExpireLeases();
        ExpireMigrations();
        var worked = Step();
        _outbox.Flush();
        var spills = SpillAhead(worked);
        PublishLoad();
        if (_draining && _sequences.Count == 0 && !spills) _drained.TrySetResult();
        _unchecked |= worked;
        if (!worked) CheckWhenIdle();
        return worked || spills;
    }

    /// <summary>Throws unless every block is accounted for by the live sequences.</summary>
    internal void CheckIntegrity() => _kv.CheckIntegrity(_sequences.Values, _exports.Values);

    [SuppressMessage("Design", "CA1031:Do not catch general exception types",
        Justification = "The thread's last frame: the error reaches the worker's host through Completion.")]
    private void RunThread()
    {
        try
        {
            while (!_stopping)
            {
                if (Turn()) continue;
                ArmTimer();
                _wake.WaitOne();
            }

            _ended.TrySetResult();
        }
        catch (Exception e)
        {
            LogBroken(_logger, e);
            _ended.TrySetException(e);
        }
    }

    private void Apply(EngineCommand command)
    {
        switch (command)
        {
            case EngineCommand.Start start: StartSequence(start.Owner, start.Sequence); break;
            case EngineCommand.Abort abort: AbortSequence(abort.Owner, abort.Key, abort.Reason); break;
            case EngineCommand.OwnerLost lost: DropOwner(lost.Owner); break;
            case EngineCommand.Drain drain: BeginDrain(drain.Grace ?? _settings.DrainGrace); break;
            case EngineCommand.SetRole change: SetRole(change.Role); break;
            case EngineCommand.PullerArrived arrived: AttachPuller(arrived); break;
            case EngineCommand.PullerSign sign: TakePullerSign(sign); break;
            case EngineCommand.PullerCommitted committed: TakeCommit(committed); break;
            case EngineCommand.PullerLost lost: LosePuller(lost); break;
            case EngineCommand.SendEnded ended: EndSend(ended); break;
            case EngineCommand.Keep keep: KeepBlock(keep.Block); break;
            case EngineCommand.RestoreEnded ended: EndRestore(ended.Key); break;
            case EngineCommand.PullEnded ended:
                _settings.Watch?.Arrived(ended.Key, ended.At);
                EndPull(ended.Key, ended.Result);
                break;
            case EngineCommand.Migration migration: Apply(migration); break;
            case EngineCommand.PrefixWanted wanted: PinPrefix(wanted); break;
            case EngineCommand.PrefixReleased released: UnpinPrefix(released); break;
            case EngineCommand.FetchEnded ended: EndFetch(ended); break;
            default: throw new ArgumentOutOfRangeException(nameof(command), command, "A command without a handler.");
        }
    }

    /// <summary>
    /// Counts every block once after each busy spell: a leak is found where it happened and not days later.
    /// </summary>
    private void CheckWhenIdle()
    {
        if (!_unchecked) return;
        CheckIntegrity();
        _unchecked = false;
    }

    private void ArmTimer()
    {
        TimeSpan? next = null;
        foreach (var end in Deadlines())
        {
            if (next is null || end < next) next = end;
        }

        // Timers count whole milliseconds: one more, or the turn comes just too early and has to wait again.
        var left = next - Now;
        if (left <= TimeSpan.Zero) _wake.Set();
        else if (left is { } wait) _timer.Change(wait + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private void PublishLoad()
    {
        var load = MeasureLoad();
        lock (_loadLock) _load = load;
    }

    private EngineLoad MeasureLoad()
    {
        long missing = 0;
        var leases = 0;
        foreach (var sequence in _sequences.Values)
        {
            if (sequence.Stage is SequenceStage.Running or SequenceStage.Waiting && !sequence.Pulls)
                missing += sequence.KnownTokens - sequence.ComputedTokens;
            if (sequence.Stage is SequenceStage.Holding or SequenceStage.Receiving or SequenceStage.Frozen
                or SequenceStage.Fetching)
                leases++;
        }

        return new EngineLoad
        {
            TotalBlocks = _kv.TotalBlocks,
            FreeBlocks = _kv.FreeBlocks,
            EvictableBlocks = _kv.EvictableBlocks,
            PinnedBlocks = _kv.PinnedBlocks,
            Leases = leases,
            RunningSequences = _running.Count,
            WaitingSequences = _waiting.Count,
            WaitingTokens = missing,
            Steps = _steps,
            PrefillTokens = _prefillTokens,
            DecodeTokens = _decodeTokens,
            StepMs = _stepMs,
            Draining = _draining,
            StepTime = _stepTime.Observations > 0 ? _stepTime.Coefficients : null,
            Tiers = ReportTiers(),
            DrainLeft = _draining ? DrainLeft : TimeSpan.Zero,
            Migrations = _outgoing.Count + _incoming,
            MigratedIn = _migratedIn,
            MigratedOut = _migratedOut,
            HeadOfLineBlocks = _waiting.Count > 0
                ? Math.Max(0, _kv.BlocksFor(_waiting[0].KnownTokens) - _kv.AvailableBlocks)
                : 0,
            FetchedBlocks = _fetchedBlocks,
        };
    }
}
