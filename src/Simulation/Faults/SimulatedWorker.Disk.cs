using Krewe.Abstractions;
using Krewe.Control.Tiers;

namespace Krewe.Simulation.Faults;

/// <summary>Spill and restore, decided by the production rule: load what is sooner there than computed.</summary>
internal sealed partial class SimulatedWorker
{
    private static readonly PrefillCost Compute = new((double)StepNs / ChunkTokens / 1e9);

    /// <summary>The next spill is cut short by a crash.</summary>
    public bool CrashWhileWriting { get; set; }

    /// <summary>Full blocks go to disk; the sequence may free them at once, for their contents are read here.</summary>
    private void Spill(WorkerSequence sequence)
    {
        if (world.Plan.DiskBlocks == 0) return;
        var full = Math.Min(sequence.Computed / FaultWorld.BlockTokens, sequence.Table.Count);
        var key = 0UL;
        for (var block = 0; block < full; block++)
        {
            key = KeyOf(key, sequence, block);
            Disk.Write(this, key, _contents[sequence.Table[block].Value]);
        }

        if (full == 0 || !CrashWhileWriting) return;
        CrashWhileWriting = false;
        Local(world.Random.Between(0, full * 300_000), Crash);
    }

    /// <summary>
    /// Loads the longest prefix that the disk has, when that is sooner there. A block that cannot be read ends it: the
    /// rest is computed. False = nothing is loaded.
    /// </summary>
    private bool Restore(WorkerSequence sequence)
    {
        if (world.Plan.DiskBlocks == 0) return false;

        // The last token is always computed: only computing gives the next one.
        var most = (sequence.Tokens.Count - 1) / FaultWorld.BlockTokens;
        var keys = new List<ulong>();
        for (var block = 0; block < most; block++)
        {
            var key = KeyOf(keys.Count == 0 ? 0 : keys[^1], sequence, block);
            if (!Disk.Has(key)) break;
            keys.Add(key);
        }

        var offer = new TierOffer(
            KvTier.Disk, keys.Count * FaultWorld.BlockTokens, TimeSpan.FromSeconds(keys.Count * Disk.MeasuredNs / 1e9));
        if (TierRule.Choose(0, sequence.Tokens.Count, [offer], Compute) is null) return false;
        var turn = sequence.Turn;
        Local(Disk.ReadNs(keys.Count), () =>
        {
            if (!sequence.Alive || sequence.Waiting || sequence.Turn != turn) return;
            foreach (var (block, key) in keys.Index())
            {
                if (Disk.Read(key) is not { } content) break;
                _contents[sequence.Table[block].Value] = content;
                sequence.Computed = (block + 1) * FaultWorld.BlockTokens;
            }

            Prefill(sequence);
        });
        return true;
    }

    private static ulong KeyOf(ulong parent, WorkerSequence sequence, int block)
    {
        var key = SeededRandom.Mix(parent + 1);
        for (var i = 0; i < FaultWorld.BlockTokens; i++)
            key = SeededRandom.Mix(key ^ (ulong)sequence.Tokens[(block * FaultWorld.BlockTokens) + i]);
        return key;
    }
}
