namespace Krewe.Simulation.Faults;

/// <summary>
/// A worker's disk tier as faults meet it: full, slow, failing, torn by a crash. Objects are found by what their tokens
/// are; a torn one fails its checksum and is dropped. Contents are compared by every token that is sampled from them.
/// </summary>
internal sealed class SimulatedDisk(FaultWorld world)
{
    private const long AccessNs = FaultWorld.Millisecond / 3;
    private const int SlowFactor = 100;

    private readonly Dictionary<ulong, ulong> _objects = [];
    private readonly Queue<ulong> _age = new();
    private readonly HashSet<ulong> _writing = [];
    private long _writesEndAt;

    /// <summary>Time of the last accesses, a moving average: what the rule for loading believes.</summary>
    public double MeasuredNs { get; private set; } = AccessNs;

    /// <summary>
    /// Begins to write a block; it can be found when the write has ended. A full disk drops the oldest.
    /// </summary>
    public void Write(SimulatedWorker worker, ulong key, ulong content)
    {
        if (world.Plan.DiskBlocks == 0 || _objects.ContainsKey(key) || !_writing.Add(key)) return;

        // One after the other: a crash finds a tail of them unfinished.
        _writesEndAt = Math.Max(_writesEndAt, world.Now) + Access();
        worker.Local(_writesEndAt - world.Now, () =>
        {
            if (!_writing.Remove(key) || Fails()) return;
            while (_objects.Count >= world.Plan.DiskBlocks) _objects.Remove(_age.Dequeue());
            _objects.Add(key, content);
            _age.Enqueue(key);
        });
    }

    public bool Has(ulong key) => _objects.ContainsKey(key);

    /// <summary>Time that reading so many blocks takes now.</summary>
    public long ReadNs(int blocks) => Access() * blocks;

    /// <summary>The content; null when it is gone meanwhile or cannot be read.</summary>
    public ulong? Read(ulong key) => _objects.TryGetValue(key, out var content) && !Fails() ? content : null;

    /// <summary>
    /// After a crash: what was being written is torn. The index is made of the headers that are whole; with the defect
    /// the torn ones are believed.
    /// </summary>
    public void Rebuild()
    {
        foreach (var key in _writing.Order())
        {
            if (world.Defect != FaultDefect.TornBlocksAreServed || _objects.ContainsKey(key)) continue;
            while (_objects.Count >= world.Plan.DiskBlocks) _objects.Remove(_age.Dequeue());
            _objects.Add(key, SeededRandom.Mix(key));
            _age.Enqueue(key);
        }

        _writing.Clear();
        _writesEndAt = world.Now;
    }

    private long Access()
    {
        var slow = world.Faulty && world.Random.Chance(world.Plan.DiskSlowPerMille);
        var ns = slow ? SlowFactor * AccessNs : AccessNs;
        MeasuredNs += 0.2 * (ns - MeasuredNs);
        return ns;
    }

    private bool Fails() => world.Faulty && world.Random.Chance(world.Plan.DiskFailPerMille);
}
