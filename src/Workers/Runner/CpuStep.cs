using System.Runtime.CompilerServices;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// The forward pass as phases. Threads split outputs (rows, panels of outputs, attention pieces), never sums. After the
/// last layer's keys and values are stored, only the rows whose logits are wanted go on.
/// </summary>
internal sealed unsafe class CpuStep : IStepProgram, IDisposable
{
    /// <summary>Rows that pass through a gate-up strip or a logits strip at a time; the strip then stays in
    /// cache.</summary>
    private const int TileRows = 8;

    private const int StripPanels = 4;
    private const int PhasesPerLayer = 8;

    private readonly ModelConfig _config;
    private readonly CpuKernels _kernels;
    private readonly CpuWeights _weights;
    private readonly CpuKvArena _arena;
    private readonly int _threads;
    private readonly RotaryAngles _rotary;
    private readonly StepBuffers _buffers;
    private readonly NativeArray<float>[] _scratch;
    private readonly AttentionPlan _allRows;
    private readonly AttentionPlan _logitRows;
    private readonly float _queryScale;
    private StepBatch _batch = new();

    public CpuStep(ModelConfig config, CpuKernels kernels, CpuWeights weights, CpuKvArena arena, int threads)
    {
        (_config, _kernels, _weights, _arena, _threads) = (config, kernels, weights, arena, threads);
        _rotary = new RotaryAngles(ModelRunners.Rotary(config));
        _queryScale = (float)(1 / Math.Sqrt(config.HeadDim));
        var first = weights.Layers[0];
        _buffers = new StepBuffers(
            config.HiddenSize, first.QueryKeyValue.PaddedOutputs, config.Heads * config.HeadDim,
            first.GateUp.PaddedOutputs / 2, _rotary.Pairs);
        _allRows = new AttentionPlan(config.Heads, config.KvHeads, threads);
        _logitRows = new AttentionPlan(config.Heads, config.KvHeads, threads);
        var scratch = Math.Max(
            CpuKernels.AttentionScratchFloats(config.HeadDim), TileRows * StripPanels * kernels.PanelOutputs);
        _scratch = [.. Enumerable.Range(0, threads).Select(_ => new NativeArray<float>(scratch))];
    }

    public int PhaseCount => 1 + (PhasesPerLayer * _config.Layers) + 2;

    /// <summary>Takes the next batch; its logits must be reserved.</summary>
    public void Prepare(StepBatch batch)
    {
        _batch = batch;
        _buffers.Reserve(batch.RowCount);
        _allRows.PlanAll(batch);
        _logitRows.PlanLogitRows(batch);
    }

    public void RunPhase(int phase, int share)
    {
        if (phase == 0)
        {
            Embed(share);
            return;
        }

        var (layer, part) = Math.DivRem(phase - 1, PhasesPerLayer);
        if (layer < _config.Layers)
            RunLayer(layer, part, share);
        else if (part == 0)
            NormalizeRows(_weights.FinalNorm, _batch.LogitRowCount, share);
        else
            ComputeLogits(share);
    }

    public void Dispose()
    {
        _buffers.Dispose();
        foreach (var scratch in _scratch)
            scratch.Dispose();
    }

    private void RunLayer(int layer, int part, int share)
    {
        var weights = _weights.Layers[layer];
        var last = layer == _config.Layers - 1;
        var rows = last ? _batch.LogitRowCount : _batch.RowCount;
        switch (part)
        {
            case 0:
                NormalizeRows(weights.AttentionNorm, _batch.RowCount, share);
                break;
            case 1:
                Multiply(
                    weights.QueryKeyValue, _buffers.Normed, _buffers.HiddenStride, _batch.RowCount,
                    _buffers.QueryKeyValue, _buffers.QueryStride, accumulate: false, share);
                break;
            case 2:
                StoreKeysAndValues(weights, layer, share);
                if (share == 0) _batch.Gate?.WaitForLayer(layer);
                break;
            case 3:
                if (share == 0) _batch.Observer?.LayerStored(layer);
                if (last && share == 0) KeepLogitRows();
                Attend(layer, last ? _logitRows : _allRows, share);
                break;
            case 4:
                Multiply(
                    weights.AttentionOutput, _buffers.Attention, _buffers.AttentionStride, rows, _buffers.Hidden,
                    _buffers.HiddenStride, accumulate: true, share);
                break;
            case 5:
                NormalizeRows(weights.FeedForwardNorm, rows, share);
                break;
            case 6:
                Gate(weights.GateUp, rows, share);
                break;
            default:
                Multiply(
                    weights.Down, _buffers.FeedForward, _buffers.FeedForwardStride, rows, _buffers.Hidden,
                    _buffers.HiddenStride, accumulate: true, share);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Embed(int share)
    {
        var (start, end) = RangeOf(_batch.RowCount, share);
        for (var row = start; row < end; row++)
        {
            var target = new Span<float>(_buffers.Hidden + ((long)row * _buffers.HiddenStride), _buffers.HiddenStride);
            _weights.Embedding.CopyTo(target[.._config.HiddenSize], (long)_batch.Tokens[row] * _config.HiddenSize);
            // Products add whole panels to a row: what lies behind its last element must stay a number.
            target[_config.HiddenSize..].Clear();
            var angles = (long)row * _buffers.Pairs;
            _rotary.Fill(_batch.Positions[row], _buffers.Cosine + angles, _buffers.Sine + angles);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void NormalizeRows(NativeArray<float> weight, int rows, int share)
    {
        var (start, end) = RangeOf(rows, share);
        for (var row = start; row < end; row++)
        {
            var offset = (long)row * _buffers.HiddenStride;
            _kernels.RmsNorm(
                _buffers.Hidden + offset, weight.Data, _config.HiddenSize, _config.RmsNormEps,
                _buffers.Normed + offset);
        }
    }

    private void Multiply(
        PackedMatrix weights, float* input, int inputStride, int rows, float* output, int outputStride, bool accumulate,
        int share)
    {
        if (rows == 0) return;
        // Four panels are one strip of the kernels; single panels where there are too few to go round.
        var unit = weights.PanelCount >= StripPanels * _threads ? StripPanels : 1;
        var (start, end) = RangeOf((weights.PanelCount + unit - 1) / unit, share);
        var first = start * unit;
        var count = Math.Min(end * unit, weights.PanelCount) - first;
        if (count <= 0) return;
        _kernels.Multiply(
            input, inputStride, rows, weights, first, count,
            output + ((long)first * weights.PanelOutputs), outputStride, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void StoreKeysAndValues(CpuLayer weights, int layer, int share)
    {
        var (dims, geometry) = (_config.HeadDim, _arena.Geometry);
        var (start, end) = RangeOf(_batch.RowCount, share);
        for (var row = start; row < end; row++)
        {
            var queries = _buffers.QueryKeyValue + ((long)row * _buffers.QueryStride);
            var keys = queries + ((long)_config.Heads * dims);
            for (var head = 0; head < _config.Heads; head++)
                Position(queries + (head * dims), weights.QueryNorm, row, _queryScale);
            for (var head = 0; head < _config.KvHeads; head++)
                Position(keys + (head * dims), weights.KeyNorm, row, scale: 1);
            var (block, slot) = Math.DivRem(_batch.SlotMapping[row], geometry.BlockTokens);
            _kernels.StoreKv(
                _arena.Data + ((long)block * geometry.BlockBytes), geometry, layer, slot, keys,
                keys + ((long)_config.KvHeads * dims));
        }
    }

    private void Position(float* head, NativeArray<float>? norm, int row, float scale)
    {
        if (norm is not null) _kernels.RmsNorm(head, norm.Data, _config.HeadDim, _config.RmsNormEps, head);
        var angles = (long)row * _buffers.Pairs;
        _kernels.Rotate(head, _buffers.Cosine + angles, _buffers.Sine + angles, _buffers.Pairs, scale);
    }

    /// <summary>Moves the residual rows that go on to the front.</summary>
    private void KeepLogitRows()
    {
        for (var i = 0; i < _batch.LogitRowCount; i++)
        {
            var source = _buffers.Hidden + ((long)_batch.LogitRows[i] * _buffers.HiddenStride);
            var target = _buffers.Hidden + ((long)i * _buffers.HiddenStride);
            new ReadOnlySpan<float>(source, _buffers.HiddenStride)
                .CopyTo(new Span<float>(target, _buffers.HiddenStride));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Attend(int layer, AttentionPlan plan, int share)
    {
        fixed (int* blockTables = _batch.BlockTables)
        {
            foreach (var piece in plan.Of(share))
            {
                var column = (long)piece.FirstHead * _config.HeadDim;
                _kernels.Attend(new AttentionWork
                {
                    Query = _buffers.QueryKeyValue + ((long)piece.QueryRow * _buffers.QueryStride) + column,
                    QueryStride = _buffers.QueryStride,
                    Output = _buffers.Attention + ((long)piece.OutputRow * _buffers.AttentionStride) + column,
                    OutputStride = _buffers.AttentionStride,
                    Rows = piece.Rows,
                    Heads = piece.Heads,
                    FirstPosition = piece.FirstPosition,
                    Window = _config.SlidingWindow,
                    BlockTable = blockTables + piece.BlockTableStart,
                    Arena = _arena.Data,
                    Geometry = _arena.Geometry,
                    Layer = layer,
                    KvHead = piece.FirstHead / (_config.Heads / _config.KvHeads),
                    Scratch = _scratch[share].Data,
                });
            }
        }
    }

    /// <summary>Gate and up of a strip of columns go through the share's scratch straight into the gated
    /// layer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Gate(PackedMatrix weights, int rows, int share)
    {
        var width = weights.PanelOutputs;
        var strip = _scratch[share].Data;
        var (start, end) = RangeOf(weights.PanelCount / 2, share);
        for (var pair = start; pair < end; pair += StripPanels / 2)
        {
            var pairs = Math.Min(StripPanels / 2, end - pair);
            for (var row = 0; row < rows; row += TileRows)
            {
                var tile = Math.Min(TileRows, rows - row);
                _kernels.Multiply(
                    _buffers.Normed + ((long)row * _buffers.HiddenStride), _buffers.HiddenStride, tile, weights,
                    2 * pair, 2 * pairs, strip, StripPanels * width, accumulate: false);
                for (var i = 0; i < tile * pairs; i++)
                {
                    var (tileRow, column) = Math.DivRem(i, pairs);
                    var gate = strip + (((tileRow * StripPanels) + (2 * column)) * width);
                    var target = _buffers.FeedForward + ((long)(row + tileRow) * _buffers.FeedForwardStride);
                    _kernels.SwiGlu(gate, gate + width, width, target + ((pair + column) * width));
                }
            }
        }
    }

    /// <summary>Logits of a strip of tokens go through the share's scratch, because their rows are not whole panels.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ComputeLogits(int share)
    {
        var head = _weights.Head;
        var stride = StripPanels * head.PanelOutputs;
        var strip = _scratch[share].Data;
        var (start, end) = RangeOf((head.PanelCount + StripPanels - 1) / StripPanels, share);
        var last = Math.Min(end * StripPanels, head.PanelCount);
        for (var first = start * StripPanels; first < last; first += StripPanels)
        {
            var panels = Math.Min(StripPanels, head.PanelCount - first);
            var column = first * head.PanelOutputs;
            var columns = Math.Min(panels * head.PanelOutputs, head.Outputs - column);
            for (var row = 0; row < _batch.LogitRowCount; row += TileRows)
            {
                var tile = Math.Min(TileRows, _batch.LogitRowCount - row);
                _kernels.Multiply(
                    _buffers.Normed + ((long)row * _buffers.HiddenStride), _buffers.HiddenStride, tile, head, first,
                    panels, strip, stride, accumulate: false);
                for (var i = 0; i < tile; i++)
                {
                    var target = _batch.Logits.AsSpan(((row + i) * head.Outputs) + column, columns);
                    new ReadOnlySpan<float>(strip + (i * stride), columns).CopyTo(target);
                }
            }
        }
    }

    private (int Start, int End) RangeOf(int count, int share) =>
        ((int)((long)count * share / _threads), (int)((long)count * (share + 1) / _threads));
}
