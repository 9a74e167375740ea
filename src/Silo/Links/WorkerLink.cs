using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Grains;
using Krewe.Silo.Streams;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>
/// One attached worker: the attempts that are on it and its load. Invariant: an attempt that was taken in is told to
/// its request as released or as lost, once.
/// </summary>
internal sealed class WorkerLink
{
    private readonly Lock _gate = new();
    private readonly Dictionary<SequenceKey, Attempt> _attempts = [];
    private readonly LinkConnection _connection;
    private Wire.LoadReport? _load;
    private LinkEnd? _end;

    // Running totals of the attempts that no load report counts yet: a view is made for every route.
    private int _dispatchedSequences;
    private bool _isCordoned;
    private bool _isDraining;
    private long _dispatchedTokens;

    public WorkerLink(
        LinkConnection connection, WorkerDescriptor descriptor, uint linkEpoch,
        uint protocol = Wire.ProtocolVersion.Newest)
    {
        (_connection, Descriptor, LinkEpoch, Protocol) = (connection, descriptor, linkEpoch, protocol);
        View = CreateView();
    }

    public WorkerDescriptor Descriptor { get; }

    public WorkerIncarnation Worker => Descriptor.Worker;

    /// <summary>Where other workers pull KV from this one.</summary>
    public Wire.DataAddress DataAddress => new()
    {
        WorkerId = Worker.WorkerId,
        Incarnation = Worker.Incarnation,
        Host = Descriptor.DataHost,
        Port = (uint)Descriptor.DataPort,
    };

    public uint LinkEpoch { get; }

    /// <summary>What both ends of the link speak.</summary>
    public uint Protocol { get; }

    /// <summary>As of the newest change.</summary>
    public WorkerView View { get; private set; }

    /// <summary>The newest load report; null before the first.</summary>
    public Wire.LoadReport? Load => Volatile.Read(ref _load);

    /// <summary>Attempts that are not released yet.</summary>
    public int AttemptCount
    {
        get
        {
            lock (_gate) return _attempts.Count;
        }
    }

    /// <summary>Sends a part; false when the link is over: then nothing was taken in.</summary>
    public bool TryStart(Attempt attempt, Wire.StartSequence start)
    {
        lock (_gate)
        {
            if (_end is not null) return false;
            // Taken in before it is sent: its first event may come back at once.
            _attempts.Add(attempt.Key, attempt);
            Count(attempt, +1);
        }

        // Outside of the lock: a long prompt takes a while to write.
        if (_connection.TrySend(new Wire.SiloMessage { Start = start })) return true;
        lock (_gate)
        {
            // The link's end may have told its loss already; it must not be told twice.
            if (!_attempts.ContainsKey(attempt.Key)) return true;
            Remove(attempt);
            return false;
        }
    }

    /// <summary>Tells the worker to free what it holds of this key. A link that is over has nothing to free.</summary>
    public void Abort(SequenceKey key, string reason) => _connection.TrySend(new Wire.SiloMessage
    {
        Abort = new Wire.AbortSequence { Key = WireConvert.ToWire(key), Reason = reason },
    });

    /// <summary>KV events are missing: the worker is to send what it holds.</summary>
    public void AskForKvSnapshot() => _connection.TrySend(new Wire.SiloMessage { KvResync = new Wire.KvResync() });

    /// <summary>Tells which silos there are. A worker of an older version is not told: it knows those of its hello.
    /// </summary>
    public void Tell(Wire.SiloSet silos)
    {
        if (Protocol >= 2) _connection.TrySend(new Wire.SiloMessage { SiloSet = silos });
    }

    public void Keep(Wire.KvKeep keep) => _connection.TrySend(new Wire.SiloMessage { KvKeep = keep });

    /// <summary>Applies a load report; true when the worker's state changed with it.</summary>
    public bool Apply(Wire.LoadReport load)
    {
        lock (_gate)
        {
            var before = View.State;
            _load = load;
            foreach (var attempt in _attempts.Values)
            {
                if (!attempt.IsKnownToWorker || attempt.IsInLoadReport) continue;
                Count(attempt, -1);
                attempt.IsInLoadReport = true;
            }

            View = CreateView();
            return View.State != before;
        }
    }

    /// <summary>Tells the event to the attempt's request; false when the key is not known here.</summary>
    public bool Apply(Wire.SequenceEvent happened)
    {
        RequestReports reports;
        lock (_gate)
        {
            if (happened.Key is null || !_attempts.TryGetValue(WireConvert.FromWire(happened.Key), out var attempt))
                return false;
            reports = attempt.Reports;
            attempt.IsKnownToWorker = true;

            // Sooner than its next load report: whoever is planned meanwhile would only be refused too.
            if (happened.ErrorCode == nameof(ErrorCode.Draining) && !_isDraining)
            {
                _isDraining = true;
                View = CreateView();
            }

            attempt.IsOwner |= happened.Kind is Wire.SequenceEventKind.DecodeStarted
                or Wire.SequenceEventKind.MigrationCommitted;
            if (happened.Kind == Wire.SequenceEventKind.Released) Remove(attempt);
        }

        if (WireConvert.ToReport(happened, Worker) is { } report) reports.Send(report);
        return true;
    }

    /// <summary>The link is over: every attempt on it is lost. False when that was told already.</summary>
    /// <param name="hasLeft">The worker was being stopped and had nothing left to do: nothing is lost with it.</param>
    public bool TryEnd(LinkEnd end, out bool hasLeft)
    {
        hasLeft = false;
        ImmutableArray<Attempt> lost;
        lock (_gate)
        {
            if (_end is not null) return false;
            _end = end;
            lost = [.. _attempts.Values];
            hasLeft = lost.IsEmpty && _load is { Draining: true };
            foreach (var attempt in lost) Remove(attempt);
        }

        foreach (var attempt in lost)
        {
            attempt.Reports.Send(new RequestReport
            {
                Kind = RequestReportKind.WorkerLost,
                Epoch = attempt.Key.Epoch,
                Worker = Worker,
                Error = end.Code,
                Message = $"Worker {Worker}: {end.Reason}.",
            });
        }

        return true;
    }

    /// <summary>Takes no new work, whatever the worker itself says; false when nothing changed.</summary>
    public bool SetCordoned(bool isCordoned)
    {
        lock (_gate)
        {
            if (_isCordoned == isCordoned) return false;
            _isCordoned = isCordoned;
            View = CreateView();
            return true;
        }
    }

    /// <summary>Asks the worker to finish or lose what it has within the grace, and to end then.</summary>
    public bool TryDrain(TimeSpan grace) => _connection.TrySend(new Wire.SiloMessage
    {
        Drain = new Wire.Drain { GraceMs = (uint)Math.Clamp(grace.TotalMilliseconds, 0, uint.MaxValue) },
    });

    /// <summary>Tells the worker to take other phases. It links anew; what it still has of this silo is lost.</summary>
    public bool TrySetRole(WorkerRole role) => _connection.TrySend(new Wire.SiloMessage
    {
        SetRole = new Wire.SetRole { Role = WireConvert.ToWire(role) },
    });

    /// <summary>Running sequences of this silo's requests there, at most <paramref name="most"/>.</summary>
    /// <param name="most">The shortest are named first.</param>
    /// <param name="outputOf">Output tokens that the owner of a sequence has.</param>
    public ImmutableArray<PoolSequence> Sequences(int most, Func<RequestSpec, int> outputOf)
    {
        ImmutableArray<Attempt> attempts;
        lock (_gate) attempts = [.. _attempts.Values];
        return
        [
            .. attempts.Where(attempt => attempt.Spec is not null)
                .Select(attempt => Describe(attempt, attempt.Spec!, outputOf(attempt.Spec!)))
                .OrderBy(sequence => sequence.Blocks).Take(most),
        ];
    }

    private PoolSequence Describe(Attempt attempt, RequestSpec spec, int output) => new()
    {
        Key = spec.GrainKey,
        Worker = Worker,
        Blocks = (spec.PromptTokens.Length + output + Descriptor.BlockTokens - 1) / Descriptor.BlockTokens,
        Priority = spec.Priority,
        TokensLeft = Math.Max(0, spec.MaxOutputTokens - output),
        IsDecoding = attempt.IsOwner,
    };

    /// <summary>Ends the connection; its reader then ends the link.</summary>
    public void Close(LinkEnd end) => _connection.Close(end);

    private void Remove(Attempt attempt)
    {
        _attempts.Remove(attempt.Key);
        if (!attempt.IsInLoadReport) Count(attempt, -1);
    }

    private void Count(Attempt attempt, int sign)
    {
        _dispatchedSequences += sign;
        _dispatchedTokens += sign * attempt.PrefillTokens;
        View = CreateView();
    }

    private WorkerView CreateView() => new()
    {
        Descriptor = Descriptor,
        State = _isCordoned || _isDraining || _load is { Draining: true } ? WorkerState.Draining : WorkerState.Ready,
        AvailableBlocks = _load is null ? Descriptor.TotalBlocks : (int)(_load.FreeBlocks + _load.EvictableBlocks),
        RunningSequences = (int)(_load?.RunningSequences ?? 0),
        WaitingSequences = (int)(_load?.WaitingSequences ?? 0),
        WaitingTokens = (long)(_load?.WaitingTokens ?? 0),
        DispatchedSequences = _dispatchedSequences,
        DispatchedTokens = _dispatchedTokens,
        Steps = _load?.Steps ?? 0,
        PrefillTokens = _load?.PrefillTokens ?? 0,
        DecodeTokens = _load?.DecodeTokens ?? 0,
        StepMs = _load?.StepMs ?? 0,
    };
}
