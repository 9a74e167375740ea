using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// One GPU's part of a step: queues the forward pass on its compute stream. Steps that only decode are recorded once
/// for each extent and then launched as one graph.
/// </summary>
internal sealed class CudaRank : IDisposable
{
    /// <summary>Recorded graphs; beyond, the oldest goes.</summary>
    private const int GraphsMax = 64;

    private readonly ModelConfig _config;
    private readonly CudaShard _shard;
    private readonly CudaDevice _device;
    private readonly CudaKernels _kernels;
    private readonly CublasLt? _library;
    private readonly NcclRank? _others;
    private readonly CudaWeights _weights;
    private readonly CudaStream _stream;
    private readonly CudaEvent[] _done;
    private readonly AttentionHeads _heads;
    private readonly bool _records;
    private readonly List<(CudaStepPlan Plan, CudaGraph Graph)> _graphs = [];
    private readonly List<IDisposable> _owned = [];
    private (CudaStepPlan Plan, CudaStepPlan Extents, int Tables) _prepared;
    private int _graphGeneration;
    private int _turn;

    public CudaRank(
        ModelFolder model, CudaDevice device, CudaKernels kernels, CublasLt? library, NcclRank? others,
        KvGeometry geometry, long kvMemoryBytes, ServedWeights form, CudaShard shard, CudaOptions options)
    {
        (_config, _shard, _device, _kernels) = (model.Config, shard, device, kernels);
        (_library, _others) = (library, others);
        // Neither a library that is told the rows nor a meeting of ranks can be replayed for other steps.
        _records = options.Graphs && library is null && others is null;
        _heads = new AttentionHeads(
            shard.Of(_config.Heads).Count, shard.Of(_config.KvHeads).Count, _config.SlidingWindow);
        try
        {
            _stream = Own(device.CreateStream());
            _done = [Own(device.CreateEvent()), Own(device.CreateEvent())];
            Arena = Own(new CudaKvArena(
                device, kernels, geometry, kvMemoryBytes, options.KvMemory, CudaModelRunner.WantsDirect(options)));
            _weights = Own(CudaWeightLoader.Load(model, device, kernels.Options.Format, form, shard));
            Memory = Own(new CudaStepMemory(device, _config, _weights, shard));
        }
        catch
        {
            Release();
            throw;
        }
    }

    public CudaKvArena Arena { get; }

    public CudaStepMemory Memory { get; }

    public string WeightFormats => _weights.Formats;

    /// <summary>Recorded graphs that are kept.</summary>
    public int GraphCount => _graphs.Count;

    /// <summary>Writes the step's numbers and makes room: all that fails for want of memory, before anything is queued.
    /// </summary>
    public void Prepare(StepBatch batch)
    {
        Memory.Reserve(batch.RowCount, batch.LogitRowCount, batch.BlockTableCount);
        _prepared = Write(batch, batch.Gate, batch.Observer);
        Memory.ReservePartial(PartialFloats(_prepared.Extents));
    }

    /// <summary>Queues what was prepared, and the transfer of tokens drawn and of logits that the host wants.</summary>
    /// <param name="wantsLogits">Whether any row's logits go to the host.</param>
    /// <param name="gate">The batch's, as this rank sees it; so the observer.</param>
    public void Queue(bool wantsLogits, ILayerGate? gate, ILayerObserver? observer)
    {
        QueuePrepared(wantsLogits, gate, observer);
        if (observer is null) Arena.MarkWritten(_stream);
        else Arena.MarkQueued(_stream);
    }

    /// <summary>
    /// Prepares a step without gate, observer or logits for the host, which is to run, unless <paramref
    /// name="isFirst"/>, behind one that is under way. False: making room for it would free memory that is in use.
    /// </summary>
    public bool TryPrepareAhead(StepBatch batch, bool isFirst)
    {
        if (isFirst) Memory.Reserve(batch.RowCount, batch.LogitRowCount, batch.BlockTableCount);
        if (!Memory.HasRoom(batch.RowCount, batch.LogitRowCount, batch.BlockTableCount)) return false;
        _prepared = Write(batch, gate: null, observer: null);
        if (isFirst) Memory.ReservePartial(PartialFloats(_prepared.Extents));
        return Memory.HasRoom(PartialFloats(_prepared.Extents));
    }

    /// <summary>Queues what <see cref="TryPrepareAhead"/> has prepared.</summary>
    public void QueueAhead()
    {
        QueuePrepared(wantsLogits: false, gate: null, observer: null);
        Arena.MarkQueued(_stream);
    }

    /// <summary>Lets the others' work end without this rank; nothing can be computed with them any more.</summary>
    public void LeaveOthers() => _others?.Abort();

    /// <summary>Returns when the step that was queued last has run.</summary>
    public void Wait() => WaitOf(_turn ^ 1);

    /// <summary>Returns when the step queued last but one has run.</summary>
    public void WaitForOlder() => WaitOf(_turn);

    /// <summary>Tokens of the step queued last, or of the one before, by logit rows; it was waited for.</summary>
    public unsafe ReadOnlySpan<int> Sampled(bool older, int rows) =>
        new(Memory.PinnedSampled(older ? _turn : _turn ^ 1), rows);

    /// <summary>Brings one row's logits over, after <see cref="Wait"/>.</summary>
    public unsafe void Fetch(int logitRow, Span<float> target)
    {
        var bytes = (long)_config.VocabularySize * sizeof(float);
        _stream.CopyToHost(Memory.PinnedLogits, Memory.Logits + (nint)(logitRow * bytes), bytes);
        _stream.Synchronize("logits");
        new ReadOnlySpan<float>(Memory.PinnedLogits, _config.VocabularySize).CopyTo(target);
    }

    /// <summary>After a step that failed half way: nothing of it may still run when the next one is written.</summary>
    public void Abandon() => _stream.Synchronize("a step that failed");

    /// <summary>Gives everything back; nothing is under way.</summary>
    public void Dispose() => Release();

    private void WaitOf(int turn) => _done[turn].Synchronize($"a step on GPU {_device.Info.Ordinal}");

    /// <summary>Writes the step's numbers where they are copied from; the second plan is the launches'.</summary>
    private (CudaStepPlan Plan, CudaStepPlan Extents, int Tables) Write(
        StepBatch batch, ILayerGate? gate, ILayerObserver? observer)
    {
        var plan = CudaStepPlan.Write(batch, Memory.Host(_turn), _heads.Group, _kernels.PrefillQueries);
        return (plan, IsRecorded(plan, gate, observer) ? plan.Rounded() : plan, batch.BlockTableCount);
    }

    private bool IsRecorded(in CudaStepPlan plan, ILayerGate? gate, ILayerObserver? observer) =>
        _records && plan.IsDecode && observer is null && gate is null;

    private long PartialFloats(in CudaStepPlan extents) =>
        _kernels.PartialFloats(extents.Decodes, _heads.Heads, extents.Partitions);

    private unsafe void QueuePrepared(bool wantsLogits, ILayerGate? gate, ILayerObserver? observer)
    {
        var (plan, extents, tables) = _prepared;
        _stream.CopyToDevice(
            Memory.Device.Counts, (void*)Memory.Host(_turn).Counts, Memory.Device.BytesWith(tables));
        if (IsRecorded(plan, gate, observer)) _stream.Launch(GraphOf(extents));
        else Forward(extents, gate, observer);
        if (_shard.Rank == 0 && plan.LogitRows > 0) QueueResults(plan, wantsLogits);
        _done[_turn].Record(_stream);
        _turn ^= 1;
    }

    private unsafe void QueueResults(in CudaStepPlan plan, bool wantsLogits)
    {
        if (plan.Draws > 0)
            _stream.CopyToHost(Memory.PinnedSampled(_turn), Memory.Sampled, plan.LogitRows * sizeof(int));
        if (wantsLogits)
        {
            _stream.CopyToHost(
                Memory.PinnedLogits, Memory.Logits, (long)plan.LogitRows * _config.VocabularySize * sizeof(float));
        }
    }

    private CudaGraph GraphOf(CudaStepPlan extents)
    {
        if (_graphGeneration != Memory.Generation) DropGraphs();
        _graphGeneration = Memory.Generation;
        foreach (var (plan, graph) in _graphs)
        {
            if (plan == extents) return graph;
        }

        if (_graphs.Count == GraphsMax)
        {
            // It may still be running.
            _stream.Synchronize();
            _graphs[0].Graph.Dispose();
            _graphs.RemoveAt(0);
        }

        var recorded = _stream.Capture(() => Forward(extents, gate: null, observer: null));
        _graphs.Add((extents, recorded));
        return recorded;
    }

    private void Forward(in CudaStepPlan plan, ILayerGate? gate, ILayerObserver? observer)
    {
        var (memory, numbers) = (Memory, Memory.Device);
        _kernels.Embed(
            _stream, _weights.Embedding, _weights.EmbeddingStride, _config.VocabularySize, numbers.Tokens,
            memory.Drawn, numbers.RowCount, plan.Rows, memory.Residual, _config.HiddenSize, _config.HiddenSize);
        var addend = Partials.None;
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            var weights = _weights.Layers[layer];
            Norm(addend, weights.AttentionNorm, gather: 0, numbers.RowCount, plan.Rows);
            StoreKeysAndValues(weights, layer, plan);
            gate?.WaitForLayer(layer);
            if (observer is not null)
            {
                // Whoever is told copies on another stream, which waits for this mark.
                Arena.MarkWritten(_stream, layer);
                observer.LayerStored(layer);
            }

            if (layer == _config.Layers - 1 && plan.LogitRows == 0) return;
            Attend(layer, plan);
            addend = Sum(weights.AttentionOutput, memory.Attention, memory.AttentionStride, plan);
            Norm(addend, weights.FeedForwardNorm, gather: 0, numbers.RowCount, plan.Rows);
            var width = _shard.Of(_config.IntermediateSize).Count;
            _kernels.SwiGlu(
                _stream, Product(weights.GateUp, memory.Normed, memory.HiddenStride, memory.Product, plan.Rows), width,
                memory.Gated, memory.GatedStride, numbers.RowCount, plan.Rows);
            addend = Sum(weights.Down, memory.Gated, memory.GatedStride, plan);
        }

        if (_shard.Rank == 0) Draw(addend, plan);
        // The next step may go on from these tokens before the host knows them: on every rank.
        if (plan.Draws > 0) _others?.AllGather(_stream, memory.Sampled, memory.Drawn, plan.LogitRows);
    }

    private void Draw(in Partials addend, in CudaStepPlan plan)
    {
        var (memory, numbers) = (Memory, Memory.Device);
        Norm(addend, _weights.FinalNorm, numbers.LogitRows, numbers.LogitRowCount, plan.LogitRows);
        Multiply(
            _weights.Head, memory.Normed, memory.HiddenStride, memory.Logits, numbers.LogitRowCount, plan.LogitRows);
        if (plan.Draws > 0)
        {
            _kernels.Sample(
                _stream, memory.Logits, _config.VocabularySize, _config.VocabularySize, numbers.Draws, memory.Sampled,
                numbers.LogitRowCount, plan.LogitRows);
        }
    }

    private void Norm(in Partials addend, nint weight, nint gather, nint count, int rows) => _kernels.RmsNorm(
        _stream, Memory.Residual, _config.HiddenSize, addend, weight, _config.HiddenSize, _config.RmsNormEps,
        Memory.Normed, Memory.HiddenStride, gather, count, rows);

    private void StoreKeysAndValues(CudaLayer weights, int layer, in CudaStepPlan plan)
    {
        var numbers = Memory.Device;
        _kernels.RopeKvWrite(
            _stream, Product(weights.QueryKeyValue, Memory.Normed, Memory.HiddenStride, Memory.Product, plan.Rows),
            _heads, new GpuKvLayer(Arena.Address, Arena.Geometry, layer), weights.Bias, weights.QueryNorm,
            weights.KeyNorm, _config.RmsNormEps, _weights.Cosine, _weights.Sine, numbers.Positions, numbers.Slots,
            Memory.Queries, Memory.QueryWidth, numbers.RowCount, plan.Rows);
    }

    private void Attend(int layer, in CudaStepPlan plan)
    {
        var (numbers, kv) = (Memory.Device, new GpuKvLayer(Arena.Address, Arena.Geometry, layer));
        if (plan.Decodes > 0)
        {
            _kernels.AttendDecode(
                _stream, Memory.Queries, Memory.QueryWidth, _heads, kv, numbers.Tables, numbers.Decodes,
                numbers.DecodeCount, plan.Decodes, Memory.Attention, Memory.AttentionStride, Memory.Partial,
                plan.Partitions);
        }

        if (plan.PrefillItems > 0)
        {
            _kernels.AttendPrefill(
                _stream, Memory.Queries, Memory.QueryWidth, _heads, kv, numbers.Tables, numbers.Prefills,
                numbers.PrefillCount, plan.PrefillItems, Memory.Attention, Memory.AttentionStride);
        }
    }

    private Partials Product(GpuMatrix matrix, nint input, int inputStride, nint output, int rows) =>
        Multiply(matrix, input, inputStride, output, Memory.Device.RowCount, rows);

    /// <summary>A product back to the hidden size: of several ranks, all their parts, added in order of
    /// ranks.</summary>
    private Partials Sum(GpuMatrix matrix, nint input, int inputStride, in CudaStepPlan plan)
    {
        var own = Product(matrix, input, inputStride, Memory.Delta, plan.Rows);
        if (_others is null) return own;
        var floats = (long)plan.Rows * matrix.Outputs;
        _others.AllGather(_stream, own.Data, Memory.Gathered, floats);
        return new Partials(Memory.Gathered, floats, matrix.Outputs, _others.Ranks);
    }

    private Partials Multiply(GpuMatrix matrix, nint input, int inputStride, nint output, nint count, int rows) =>
        _library is not null && !matrix.IsInt8
            ? _library.Linear(_stream, matrix, input, inputStride, output, rows)
            : _kernels.Linear(_stream, matrix, input, inputStride, output, count, rows);

    private void DropGraphs()
    {
        if (_graphs.Count == 0) return;
        _stream.Synchronize();
        foreach (var (_, graph) in _graphs) graph.Dispose();
        _graphs.Clear();
    }

    private void Release()
    {
        foreach (var (_, graph) in _graphs) graph.Dispose();
        _graphs.Clear();
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
