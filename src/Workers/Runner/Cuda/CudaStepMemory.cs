using System.Runtime.InteropServices;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Activations and the step's numbers on one GPU, for a number of rows; it only ever grows. The numbers (tokens,
/// positions, block tables, work lists) lie at fixed places of one piece of memory, so that one copy brings a step and
/// recorded launches stay valid until <see cref="Generation"/> changes. What the host writes and reads is there twice,
/// for steps in turn: one may be filled while the other's copy is still to run.
/// </summary>
internal sealed unsafe class CudaStepMemory : IDisposable
{
    private const int RowsMin = 64;
    private const int Counts = 8;
    private const int DrawInts = 8;

    /// <summary>Steps that may be under way at once.</summary>
    public const int Turns = 2;

    private readonly CudaDevice _device;
    private readonly ModelConfig _config;
    private readonly CudaWeights _weights;
    private readonly CudaShard _shard;
    private readonly List<IDisposable> _owned = [];
    private readonly StepNumbers[] _host = new StepNumbers[Turns];
    private readonly nint[] _pinnedSampled = new nint[Turns];
    private PinnedMemory? _pinnedLogits;
    private DeviceMemory? _partial;
    private long _partialFloats;

    public CudaStepMemory(CudaDevice device, ModelConfig config, CudaWeights weights, CudaShard shard) =>
        (_device, _config, _weights, _shard) = (device, config, weights, shard);

    /// <summary>Changes when addresses do.</summary>
    public int Generation { get; private set; }

    public int Rows { get; private set; }

    public int LogitRows { get; private set; }

    public int Tables { get; private set; }

    public int HiddenStride => LinearPlan.PaddedInputs(_config.HiddenSize);

    public int QueryWidth => _shard.Of(_config.Heads).Count * _config.HeadDim;

    public int AttentionStride => LinearPlan.PaddedInputs(QueryWidth);

    public int GatedStride => LinearPlan.PaddedInputs(_shard.Of(_config.IntermediateSize).Count);

    /// <summary>[Rows x HiddenSize] floats.</summary>
    public nint Residual { get; private set; }

    /// <summary>[Rows x HiddenStride] elements.</summary>
    public nint Normed { get; private set; }

    /// <summary>Floats of the widest product.</summary>
    public nint Product { get; private set; }

    /// <summary>What is added to the residual next; of all ranks where there are several.</summary>
    public nint Delta { get; private set; }

    public nint Gathered { get; private set; }

    /// <summary>[Rows x QueryWidth] elements.</summary>
    public nint Queries { get; private set; }

    /// <summary>[Rows x AttentionStride] elements.</summary>
    public nint Attention { get; private set; }

    /// <summary>[Rows x GatedStride] elements.</summary>
    public nint Gated { get; private set; }

    /// <summary>[LogitRows x VocabularySize] floats.</summary>
    public nint Logits { get; private set; }

    /// <summary>[LogitRows] ints.</summary>
    public nint Sampled { get; private set; }

    /// <summary>Of all ranks, [Ranks x rows of the step]; the first rank's are the tokens. Alone: as
    /// <see cref="Sampled"/>.</summary>
    public nint Drawn { get; private set; }

    public byte* PinnedLogits => _pinnedLogits!.Data;

    /// <summary>The step's numbers on the device.</summary>
    public StepNumbers Device { get; private set; }

    public nint Partial => _partial?.Address ?? 0;

    /// <summary>The numbers of the step of this turn on the host.</summary>
    public StepNumbers Host(int turn) => _host[turn];

    /// <summary>[LogitRows] tokens that the step of this turn drew.</summary>
    public int* PinnedSampled(int turn) => (int*)_pinnedSampled[turn];

    /// <summary>Whether such a step needs no more memory than there is.</summary>
    public bool HasRoom(int rows, int logitRows, int tables) =>
        rows <= Rows && logitRows <= LogitRows && tables <= Tables;

    /// <summary>The same for the partial sums of long contexts.</summary>
    public bool HasRoom(long floats) => floats <= _partialFloats;

    /// <summary>Makes room; returns at once when there is. Nothing is under way, or all of it is lost.</summary>
    public void Reserve(int rows, int logitRows, int tables)
    {
        if (HasRoom(rows, logitRows, tables)) return;
        // Whole powers of two: a growing batch settles after a few steps.
        rows = Math.Max(RowsMin, (int)uint.Max((uint)Rows, RoundUp(rows)));
        logitRows = Math.Max(RowsMin, (int)uint.Max((uint)LogitRows, RoundUp(logitRows)));
        tables = Math.Max(1024, (int)uint.Max((uint)Tables, RoundUp(tables)));
        Release();
        Generation++;
        try
        {
            Allocate(rows, logitRows, tables);
            (Rows, LogitRows, Tables) = (rows, logitRows, tables);
        }
        catch
        {
            Release();
            throw;
        }
    }

    /// <summary>Makes room for the partial sums of long contexts.</summary>
    public void ReservePartial(long floats)
    {
        if (HasRoom(floats)) return;
        _partial?.Dispose();
        (_partial, _partialFloats) = (null, 0);
        Generation++;
        _partial = _device.Allocate(floats * sizeof(float), "attention of long contexts");
        _partialFloats = floats;
    }

    public void Dispose()
    {
        Release();
        _partial?.Dispose();
        _partial = null;
    }

    private static uint RoundUp(int count) => System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, count));

    private void Allocate(int rows, int logitRows, int tables)
    {
        var layer = _weights.Layers[0];
        Residual = Floats(rows * (long)_config.HiddenSize, "residual");
        Normed = Elements(Math.Max(rows, logitRows) * (long)HiddenStride, "norms");
        Product = Floats(
            Math.Max(layer.QueryKeyValue.OutputFloats(rows), layer.GateUp.OutputFloats(rows)), "products");
        var delta = Math.Max(layer.AttentionOutput.OutputFloats(rows), layer.Down.OutputFloats(rows));
        Delta = Floats(delta, "products");
        Gathered = _shard.Ranks > 1 ? Floats(delta * _shard.Ranks, "products of all ranks") : 0;
        Queries = Elements(rows * (long)QueryWidth, "queries");
        Attention = Elements(rows * (long)AttentionStride, "attention");
        Gated = Elements(rows * (long)GatedStride, "gates");
        Logits = Floats(logitRows * (long)_config.VocabularySize, "logits");
        Sampled = Own(_device.Allocate(logitRows * sizeof(int), "tokens")).Address;
        Drawn = _shard.Ranks > 1
            ? Own(_device.Allocate(logitRows * (long)_shard.Ranks * sizeof(int), "tokens of all ranks")).Address
            : Sampled;
        _pinnedLogits = Own(_device.AllocatePinned(logitRows * (long)_config.VocabularySize * sizeof(float)));

        // Rows of all sequences, each in pieces of 64 packed queries; a piece begun for each sequence.
        var group = _config.Heads / _config.KvHeads;
        var prefillItems = (int)(((long)rows * group / CudaKernels.PrefillQueriesMin) + rows + 1);
        var layout = StepNumbers.Layout(rows, logitRows, prefillItems, tables, Counts, DrawInts, out var ints);
        var bytes = ints * sizeof(int);
        Device = layout.From(Own(_device.Allocate(bytes, "step")).Address);
        for (var turn = 0; turn < Turns; turn++)
        {
            _pinnedSampled[turn] = (nint)Own(_device.AllocatePinned(logitRows * sizeof(int))).Data;
            _host[turn] = layout.From((nint)Own(_device.AllocatePinned(bytes)).Data);
            NativeMemory.Clear((void*)_host[turn].Counts, (nuint)bytes);
        }

        ClearPadding();
    }

    /// <summary>Columns behind a width that no kernel writes are read by products: they must be zeros, not NaNs.
    /// </summary>
    private void ClearPadding()
    {
        using var stream = _device.CreateStream();
        stream.Fill(Attention, 0, Math.Max(1, _owned.OfType<DeviceMemory>()
            .Single(memory => memory.Address == Attention).Bytes));
        stream.Synchronize();
    }

    private nint Floats(long count, string purpose) =>
        Own(_device.Allocate(count * sizeof(float), purpose)).Address;

    private nint Elements(long count, string purpose) =>
        Own(_device.Allocate(count * sizeof(ushort), purpose)).Address;

    private void Release()
    {
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
        (Rows, LogitRows, Tables) = (0, 0, 0);
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}

/// <summary>Where a step's numbers lie: offsets, or addresses.</summary>
internal readonly record struct StepNumbers(
    nint Counts, nint Tokens, nint Positions, nint Slots, nint LogitRows, nint Decodes, nint Prefills, nint Draws,
    nint Tables)
{
    public nint RowCount => Counts;

    public nint DecodeCount => Counts + sizeof(int);

    public nint PrefillCount => Counts + (2 * sizeof(int));

    public nint LogitRowCount => Counts + (3 * sizeof(int));

    /// <summary>Offsets in bytes, tables last.</summary>
    public static StepNumbers Layout(
        int rows, int logitRows, int prefillItems, int tables, int counts, int drawInts, out long ints)
    {
        var at = 0L;
        var result = new StepNumbers(
            Next(counts), Next(rows), Next(rows), Next(rows), Next(logitRows), Next(CudaKernels.DecodeItemInts * rows),
            Next(CudaKernels.PrefillItemInts * prefillItems), Next(drawInts * logitRows), Next(tables));
        ints = at;
        return result;

        nint Next(long count)
        {
            var start = at;
            // Draws have 64-bit fields.
            at += (count + 1) / 2 * 2;
            return (nint)(start * sizeof(int));
        }
    }

    /// <summary>Bytes of a step with so many entries of block tables, which lie last: room for long contexts is mostly
    /// unused.</summary>
    public long BytesWith(int tables) => Tables - Counts + (tables * (long)sizeof(int));

    public StepNumbers From(nint address) => new(
        address + Counts, address + Tokens, address + Positions, address + Slots, address + LogitRows,
        address + Decodes, address + Prefills, address + Draws, address + Tables);
}
