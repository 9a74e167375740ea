using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Simulation.Faults;

/// <summary>
/// A worker process: a block pool (production code) with contents that can be checked, a simple engine, and the handoff
/// machines (production code). Dies, stalls and comes back.
/// </summary>
internal sealed partial class SimulatedWorker(FaultWorld world, string id, WorkerRole role)
{
    private const long StepNs = 2 * FaultWorld.Millisecond;
    private const int ChunkTokens = 32;

    private readonly Dictionary<SequenceKey, WorkerSequence> _sequences = [];
    private readonly ulong[] _contents = new ulong[world.Plan.BlocksPerWorker];
    private long _stalledUntil;

    public string Id { get; } = id;

    public WorkerRole Role { get; } = role;

    public BlockPool Pool { get; private set; } = new(world.Plan.BlocksPerWorker);

    /// <summary>Outlives a crash, as an SSD does.</summary>
    public SimulatedDisk Disk { get; } = new(world);

    public ulong Incarnation { get; private set; } = 1;

    public bool IsUp { get; private set; } = true;

    public bool IsStalled => world.Now < _stalledUntil;

    /// <summary>The control link; null while there is none.</summary>
    public SimulatedLink? Control { get; set; }

    public int SequenceCount => _sequences.Count;

    public WorkerIncarnation Identity => new(Id, Incarnation);

    /// <summary>kill -9: memory and links are gone at once; the peers hear it from their closed sockets.</summary>
    public void Crash()
    {
        if (!IsUp) return;
        IsUp = false;
        foreach (var sequence in _sequences.Values)
        {
            sequence.Alive = false;
            CloseDataLink(sequence);
            CloseMoves(sequence);
        }

        _sequences.Clear();
        Pool = new BlockPool(world.Plan.BlocksPerWorker);
        _stalledUntil = world.Now;
        world.Silo.LinkLost(this, ErrorCode.WorkerLost);
        world.After(world.Random.Between(100, 3_000) * FaultWorld.Millisecond, () =>
        {
            IsUp = true;
            Incarnation++;
            Disk.Rebuild();
            Connect();
        });
    }

    /// <summary>SIGSTOP: sockets stay open, nothing is read, nothing runs.</summary>
    public void Stall(long ns)
    {
        if (!IsUp || IsStalled) return;
        _stalledUntil = world.Now + ns;
        var silence = (long)world.Cluster.LinkSilenceLimit.TotalMilliseconds * FaultWorld.Millisecond;
        var link = Control;
        if (ns >= silence && link is not null)
        {
            world.After(silence, () =>
            {
                if (Control == link && IsStalled) world.Silo.LinkLost(this, ErrorCode.WorkerStalled);
            });
        }

        Local(ns, () =>
        {
            if (Control is null) DropAndReconnect();
        });
    }

    /// <summary>The control link is gone on this side too: old work is void, a new link is made.</summary>
    public void DropAndReconnect()
    {
        foreach (var sequence in _sequences.Values.ToList()) Drop(sequence, "the link to its silo is gone");
        Local(100 * FaultWorld.Millisecond, Connect);
    }

    /// <summary>A partition from the silo: this process works on, and neither side hears of the other.</summary>
    public void Isolate(long ns)
    {
        if (!IsUp) return;
        world.Part(SimulatedSilo.SiloId, Id, ns);
        var silence = (long)world.Cluster.LinkSilenceLimit.TotalMilliseconds * FaultWorld.Millisecond;
        var link = Control;
        if (ns < silence || link is null) return;

        // Each side finds the silence by itself.
        world.After(silence, () =>
        {
            if (Control == link && IsIsolated) world.Silo.LinkLost(this, ErrorCode.WorkerStalled);
        });
        Local(silence + (world.Random.Between(0, 400) * FaultWorld.Millisecond), () =>
        {
            if (Control is null || (Control == link && IsIsolated)) DropAndReconnect();
        });
    }

    /// <summary>Makes a control link as soon as the silo can be reached.</summary>
    private void Connect()
    {
        if (Control is not null) return;
        if (IsIsolated) Local(world.HealedAt(SimulatedSilo.SiloId, Id) - world.Now, Connect);
        else world.Silo.Attach(this);
    }

    private bool IsIsolated => world.HealedAt(SimulatedSilo.SiloId, Id) > world.Now;

    /// <summary>
    /// Runs <paramref name="action"/> in this process later: not after a crash, and not while stalled.
    /// </summary>
    public void Local(long ns, Action action)
    {
        var incarnation = Incarnation;
        world.After(ns, () =>
        {
            if (!IsUp || Incarnation != incarnation) return;
            if (IsStalled) Local(_stalledUntil - world.Now, action);
            else action();
        });
    }

    /// <summary>Sends to the silo over the control link, when there is one.</summary>
    private void Tell(Action<SimulatedSilo> message) => Control?.Send(() => message(world.Silo));

    private void Report(
        WorkerSequence sequence, RequestReportKind kind, ErrorCode? error = null, string? message = null)
    {
        var report = new RequestReport
        {
            Kind = kind,
            Epoch = sequence.Start.Key.Epoch,
            Worker = Identity,
            Error = error,
            Message = message,
        };
        Tell(silo => silo.Report(sequence.Start.Key.RequestId, report));
    }

    /// <summary>Throws unless the pool's counts equal what the sequences hold.</summary>
    public void CheckIntegrity() => Pool.CheckIntegrity(_sequences.Values.Select(s => s.Table));
}
