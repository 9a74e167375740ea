using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// Computes nothing: its KV is whatever was filled in at the start, its next token is 0. So a handoff of any shape of
/// KV can be measured without the model.
/// </summary>
internal sealed unsafe class FillRunner : IModelRunner
{
    private readonly CpuKvArena _arena;

    public FillRunner(KvGeometry geometry, long kvMemoryBytes, int seed, bool shareKv)
    {
        _arena = new CpuKvArena(geometry, kvMemoryBytes, shareKv);
        var random = new Random(seed);
        for (var block = 0; block < _arena.BlockCount; block++)
            random.NextBytes(new Span<byte>(_arena.Data + ((long)block * geometry.BlockBytes), geometry.BlockBytes));
    }

    public int VocabularySize => 2;

    public int MaxContextTokens => 1 << 24;

    public NumericsFingerprint Numerics { get; } = new("bench", "none", 1, "none", KvFormat.BF16);

    public IKvArena Kv => _arena;

    public void Run(StepBatch batch) => batch.ReserveLogits(VocabularySize).Clear();

    public void Dispose() => _arena.Dispose();
}
