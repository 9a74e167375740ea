using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace Krewe.Workers.Torch;

/// <summary>
/// The same transformer over TorchSharp tensors, written a second time from the model's definition: an independent
/// check of the kernels, and a way onto GPUs that have none of ours. Products are of <see cref="GroupRows"/> rows
/// whatever the step has, attention is row by row, so that a row's bits should not depend on its batch; but libtorch
/// promises nothing.
/// </summary>
public sealed class TorchModelRunner : IModelRunner
{
    private const int GroupRows = 16;

    private readonly ModelConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly Device _device;
    private readonly ScalarType _type;
    private readonly TorchKvArena _arena;
    private readonly RotaryAngles _rotary;
    private readonly Dictionary<string, Tensor> _weights = new(StringComparer.Ordinal);

    private TorchModelRunner(ModelFolder model, KvGeometry geometry, long kvMemoryBytes)
    {
        (_config, _checkpoint) = (model.Config, model.Weights);
        _device = cuda.is_available() ? CUDA : CPU;
        // On the CPU in F32, so that it can stand beside the CPU's kernels.
        _type = _device.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32;
        _arena = new TorchKvArena(geometry, kvMemoryBytes, _device);
        _rotary = new RotaryAngles(ModelRunners.Rotary(_config));
        Numerics = new NumericsFingerprint(
            "torch", $"{_device.type}".ToLowerInvariant(), KernelVersion: 1, $"{_config.WeightType}", geometry.Format);
    }

    public int VocabularySize => _config.VocabularySize;

    public int MaxContextTokens => _config.MaxPositions;

    public NumericsFingerprint Numerics { get; }

    public IKvArena Kv => _arena;

    /// <summary>Weights are read when they are first needed. The folder must stay open as long as the runner lives.
    /// </summary>
    public static IModelRunner Create(ModelFolder model, KvGeometry geometry, long kvMemoryBytes)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new TorchModelRunner(model, geometry, kvMemoryBytes);
    }

    public void Run(StepBatch batch)
    {
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, _arena);
        var logits = batch.ReserveLogits(VocabularySize);
        if (batch.RowCount == 0) return;
        using var none = no_grad();
        using var scope = NewDisposeScope();
        var tokens = tensor(batch.Tokens.AsSpan(0, batch.RowCount).ToArray(), ScalarType.Int64, device: _device);
        var hidden = Weight(WeightNames.Embedding).index_select(0, tokens).to(ScalarType.Float32);
        var (cosine, sine) = Angles(batch);
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            using var inLayer = NewDisposeScope();
            var attended = Attend(batch, hidden, layer, cosine, sine);
            hidden = hidden + Linear(attended, In(layer, WeightNames.AttentionOutput));
            var normed = Norm(hidden, In(layer, WeightNames.FeedForwardNorm));
            var gated = nn.functional.silu(Linear(normed, In(layer, WeightNames.Gate)))
                * Linear(normed, In(layer, WeightNames.Up));
            hidden = (hidden + Linear(gated, In(layer, WeightNames.Down))).MoveToOuterDisposeScope();
        }

        if (batch.LogitRowCount == 0) return;
        var rows = tensor(
            batch.LogitRows.AsSpan(0, batch.LogitRowCount).ToArray(), ScalarType.Int64, device: _device);
        var last = Norm(hidden.index_select(0, rows), WeightNames.FinalNorm);
        var head = _config.TieEmbeddings ? WeightNames.Embedding : WeightNames.Head;
        Linear(last, head).cpu().contiguous().data<float>().ToArray().CopyTo(logits);
    }

    public void Dispose()
    {
        foreach (var weight in _weights.Values) weight.Dispose();
        _arena.Dispose();
    }

    private static string In(int layer, string name) => WeightNames.InLayer(layer, name);

    /// <summary>[rows x Heads * HeadDim]: each row over its sequence, after the keys and values of all are stored.
    /// </summary>
    private Tensor Attend(StepBatch batch, Tensor hidden, int layer, Tensor cosine, Tensor sine)
    {
        var normed = Norm(hidden, In(layer, WeightNames.AttentionNorm));
        var queries = Position(Project(normed, layer, WeightNames.Query, _config.Heads),
            In(layer, WeightNames.QueryNorm), cosine, sine);
        var keys = Position(Project(normed, layer, WeightNames.Key, _config.KvHeads),
            In(layer, WeightNames.KeyNorm), cosine, sine);
        var values = Project(normed, layer, WeightNames.Value, _config.KvHeads);
        for (var row = 0; row < batch.RowCount; row++)
        {
            var (block, slot) = Math.DivRem(batch.SlotMapping[row], _arena.Geometry.BlockTokens);
            _arena.Keys(layer)[block].select(2, slot).copy_(keys[row]);
            _arena.Values(layer)[block].select(1, slot).copy_(values[row]);
        }

        batch.Gate?.WaitForLayer(layer);
        batch.Observer?.LayerStored(layer);
        var results = new List<Tensor>();
        for (var i = 0; i < batch.SequenceCount; i++)
        {
            var sequence = batch.Sequences[i];
            var table = tensor(
                batch.BlockTables.AsSpan(
                    sequence.BlockTableStart, _arena.Geometry.BlocksFor(sequence.ContextTokens)).ToArray(),
                ScalarType.Int64, device: _device);
            // [heads, dims, slots of all blocks] and [heads, slots, dims].
            var k = _arena.Keys(layer).index_select(0, table).permute(1, 2, 0, 3).flatten(2);
            var v = _arena.Values(layer).index_select(0, table).permute(1, 0, 2, 3).flatten(1, 2);
            for (var row = sequence.RowStart; row < sequence.RowStart + sequence.RowCount; row++)
                results.Add(AttendRow(queries[row], k, v, batch.Positions[row]));
        }

        return stack(results);
    }

    private Tensor AttendRow(Tensor query, Tensor keys, Tensor values, int position)
    {
        var first = _config.SlidingWindow is { } window ? Math.Max(0, position - window + 1) : 0;
        var count = position + 1 - first;
        var grouped = query.reshape(_config.KvHeads, _config.Heads / _config.KvHeads, _config.HeadDim);
        var scores = matmul(grouped / Math.Sqrt(_config.HeadDim), keys.narrow(2, first, count).to(ScalarType.Float32));
        return matmul(softmax(scores, -1), values.narrow(1, first, count).to(ScalarType.Float32)).flatten();
    }

    private Tensor Project(Tensor normed, int layer, string name, int heads)
    {
        var prefix = In(layer, name);
        var result = Linear(normed, prefix + ".weight");
        if (_config.AttentionBias) result = result + Weight(prefix + ".bias");
        return result.reshape(-1, heads, _config.HeadDim);
    }

    /// <summary>Head norm where the family has one, then pairs (i, i + half) turned.</summary>
    private Tensor Position(Tensor heads, string norm, Tensor cosine, Tensor sine)
    {
        if (_config.QkNorm) heads = Norm(heads, norm);
        var half = _config.HeadDim / 2;
        var (x, y) = (heads.narrow(-1, 0, half), heads.narrow(-1, half, half));
        return cat([(x * cosine) - (y * sine), (y * cosine) + (x * sine)], -1);
    }

    private Tensor Norm(Tensor rows, string name)
    {
        var squares = rows.pow(2).mean([-1], keepdim: true);
        return rows * rsqrt(squares + _config.RmsNormEps) * Weight(name).to(ScalarType.Float32);
    }

    /// <summary>Groups of the same number of rows, the last one filled with zeros.</summary>
    private Tensor Linear(Tensor rows, string name)
    {
        var weight = Weight(name);
        var count = rows.shape[0];
        var padding = (GroupRows - (count % GroupRows)) % GroupRows;
        var padded = padding == 0 ? rows : cat([rows, zeros([padding, rows.shape[1]], device: _device)], 0);
        var groups = padded.split(GroupRows, 0)
            .Select(group => matmul(group.to(_type), weight.t()).to(ScalarType.Float32)).ToArray();
        return cat(groups, 0).narrow(0, 0, count);
    }

    /// <summary>[rows, 1, pairs] each.</summary>
    private unsafe (Tensor Cosine, Tensor Sine) Angles(StepBatch batch)
    {
        var (cosine, sine) = (new float[batch.RowCount * _rotary.Pairs], new float[batch.RowCount * _rotary.Pairs]);
        fixed (float* c = cosine, s = sine)
        {
            for (var row = 0; row < batch.RowCount; row++)
                _rotary.Fill(batch.Positions[row], c + (row * _rotary.Pairs), s + (row * _rotary.Pairs));
        }

        return (Shaped(cosine), Shaped(sine));

        Tensor Shaped(float[] values) =>
            tensor(values, [batch.RowCount, 1, _rotary.Pairs], ScalarType.Float32, _device);
    }

    private Tensor Weight(string name)
    {
        if (_weights.TryGetValue(name, out var known)) return known;
        var stored = _checkpoint.Get(name);
        var values = new float[stored.ElementCount];
        stored.CopyTo(values);
        var weight = tensor(values, [.. stored.Shape.Select(size => (long)size)], ScalarType.Float32, _device)
            .to(_type).DetachFromDisposeScope();
        _weights.Add(name, weight);
        return weight;
    }
}
