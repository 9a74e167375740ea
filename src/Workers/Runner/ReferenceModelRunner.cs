using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Reference;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// The same transformer with the scalar reference kernels, row by row, in double: what every other runner is compared
/// with. Only keys and values are rounded, to the cache's format. Slow, and allocates.
/// </summary>
internal sealed unsafe class ReferenceModelRunner : IModelRunner
{
    private readonly ModelConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly RotaryFrequencies _rotary;
    private readonly CpuKvArena _arena;
    private readonly Dictionary<string, float[]> _tensors = new(StringComparer.Ordinal);

    private ReferenceModelRunner(ModelFolder model, CpuKvArena arena)
    {
        (_config, _checkpoint, _arena) = (model.Config, model.Weights, arena);
        _rotary = ModelRunners.Rotary(_config);
        Numerics = new NumericsFingerprint(
            "reference", "scalar", KernelVersion: 1, _config.WeightType.ToString(), arena.Geometry.Format);
    }

    public int VocabularySize => _config.VocabularySize;

    public int MaxContextTokens => _config.MaxPositions;

    public NumericsFingerprint Numerics { get; }

    public IKvArena Kv => _arena;

    public static ReferenceModelRunner Create(ModelFolder model, KvGeometry geometry, long kvMemoryBytes) =>
        new(model, new CpuKvArena(geometry, kvMemoryBytes));

    public void Run(StepBatch batch)
    {
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, _arena);
        var logits = batch.ReserveLogits(VocabularySize);
        var logitRow = 0;
        for (var i = 0; i < batch.SequenceCount; i++)
        {
            var sequence = batch.Sequences[i];
            var blockTable = batch.BlockTables.AsSpan(sequence.BlockTableStart);
            for (var row = sequence.RowStart; row < sequence.RowStart + sequence.RowCount; row++)
            {
                var hidden = Forward(batch, row, blockTable);
                if (logitRow == batch.LogitRowCount || batch.LogitRows[logitRow] != row) continue;
                var head = _config.TieEmbeddings ? WeightNames.Embedding : WeightNames.Head;
                var scores = Product(hidden, head, VocabularySize);
                for (var token = 0; token < VocabularySize; token++)
                    logits[(logitRow * VocabularySize) + token] = (float)scores[token];
                logitRow++;
            }
        }
    }

    public void Dispose() => _arena.Dispose();

    /// <summary>One token through all layers and the last norm.</summary>
    private double[] Forward(StepBatch batch, int row, ReadOnlySpan<int> blockTable)
    {
        var hidden = Array.ConvertAll(
            Weights(WeightNames.Embedding).AsSpan(batch.Tokens[row] * _config.HiddenSize, _config.HiddenSize).ToArray(),
            value => (double)value);
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            batch.Gate?.WaitForLayer(layer);
            var normed = Normalized(hidden, WeightNames.InLayer(layer, WeightNames.AttentionNorm));
            var attention = Attend(normed, layer, batch.Positions[row], batch.SlotMapping[row], blockTable);
            Add(hidden, Product(attention, WeightNames.InLayer(layer, WeightNames.AttentionOutput), hidden.Length));

            normed = Normalized(hidden, WeightNames.InLayer(layer, WeightNames.FeedForwardNorm));
            var gate = Product(normed, WeightNames.InLayer(layer, WeightNames.Gate), _config.IntermediateSize);
            var up = Product(normed, WeightNames.InLayer(layer, WeightNames.Up), _config.IntermediateSize);
            ReferenceSwiGlu.Apply(gate, up, gate);
            Add(hidden, Product(gate, WeightNames.InLayer(layer, WeightNames.Down), hidden.Length));
        }

        return Normalized(hidden, WeightNames.FinalNorm);
    }

    private double[] Attend(double[] normed, int layer, int position, int slotIndex, ReadOnlySpan<int> blockTable)
    {
        var (dims, geometry) = (_config.HeadDim, _arena.Geometry);
        var queries = Projection(normed, layer, WeightNames.Query, _config.Heads);
        var keys = Projection(normed, layer, WeightNames.Key, _config.KvHeads);
        var values = Projection(normed, layer, WeightNames.Value, _config.KvHeads);
        PositionHeads(queries, _config.QkNorm ? WeightNames.InLayer(layer, WeightNames.QueryNorm) : null, position);
        PositionHeads(keys, _config.QkNorm ? WeightNames.InLayer(layer, WeightNames.KeyNorm) : null, position);
        var (block, slot) = Math.DivRem(slotIndex, geometry.BlockTokens);
        fixed (float* k = Array.ConvertAll(keys, value => (float)value))
        fixed (float* v = Array.ConvertAll(values, value => (float)value))
            ReferenceKvWriter.Write(_arena.Data + ((long)block * geometry.BlockBytes), geometry, layer, slot, k, v);

        var result = new double[queries.Length];
        for (var head = 0; head < _config.Heads; head++)
        {
            var query = queries.AsSpan(head * dims, dims);
            foreach (ref var value in query)
                value /= Math.Sqrt(dims);
            ReferenceAttention.Attend(
                query, position, _config.SlidingWindow, blockTable, _arena.Data, geometry, layer,
                head / (_config.Heads / _config.KvHeads), result.AsSpan(head * dims, dims));
        }

        return result;
    }

    private double[] Projection(double[] input, int layer, string name, int heads)
    {
        var prefix = WeightNames.InLayer(layer, name);
        var output = new double[heads * _config.HeadDim];
        var bias = _config.AttentionBias ? Weights(prefix + ".bias") : [];
        ReferenceLinear.Multiply(input, Weights(prefix + ".weight"), bias, output);
        return output;
    }

    private void PositionHeads(double[] heads, string? norm, int position)
    {
        for (var start = 0; start < heads.Length; start += _config.HeadDim)
        {
            var head = heads.AsSpan(start, _config.HeadDim);
            if (norm is not null) ReferenceRmsNorm.Normalize(head, Weights(norm), _config.RmsNormEps, head);
            ReferenceRope.Rotate(head, position, _rotary);
        }
    }

    private double[] Normalized(double[] input, string name)
    {
        var output = new double[input.Length];
        ReferenceRmsNorm.Normalize(input, Weights(name), _config.RmsNormEps, output);
        return output;
    }

    private double[] Product(double[] input, string name, int outputs)
    {
        var output = new double[outputs];
        ReferenceLinear.Multiply(input, Weights(name), [], output);
        return output;
    }

    private static void Add(double[] target, double[] addend)
    {
        for (var i = 0; i < target.Length; i++)
            target[i] += addend[i];
    }

    private float[] Weights(string name)
    {
        if (_tensors.TryGetValue(name, out var values)) return values;
        var tensor = _checkpoint.Get(name);
        values = new float[tensor.ElementCount];
        tensor.CopyTo(values);
        _tensors.Add(name, values);
        return values;
    }
}
