using Krewe.Abstractions;

namespace Krewe.Kernels.Cuda;

/// <summary>One layer of the paged KV memory on the device.</summary>
/// <param name="Arena">First byte of block 0.</param>
public readonly record struct GpuKvLayer(nint Arena, KvGeometry Geometry, int Layer)
{
    internal nint Keys => Arena + (nint)((long)Layer * Geometry.LayerBytes);

    internal nint Values => Keys + Geometry.PlaneBytes;

    /// <summary>Numbers from block to block.</summary>
    internal long BlockStride => Geometry.BlockBytes / Geometry.ElementBytes;
}

/// <summary>Heads of a model.</summary>
/// <param name="Window">A row sees this many last positions; null = all.</param>
public readonly record struct AttentionHeads(int Heads, int KvHeads, int? Window)
{
    public int Group => Heads / KvHeads;
}

public sealed partial class CudaKernels
{
    /// <summary>Positions whose attention is one sum; longer contexts are split there.</summary>
    public const int PartitionTokens = 512;

    /// <summary>Ints of one decode item: row, position, start of its block table.</summary>
    public const int DecodeItemInts = 3;

    /// <summary>Ints of one prefill item: first row, first position, rows, start of its block table, first packed
    /// query.</summary>
    public const int PrefillItemInts = 5;

    /// <summary>Packed queries (row, head of a group) of one prefill item at least.</summary>
    public const int PrefillQueriesMin = 64;

    private const int WgmmaPrefillQueries = 128;

    private const int TileKeys = 64;
    private const int Stages = 2;
    private const int QueriesAWarp = 16;
    private const int DecodeThreads = 4 * 32;
    private const int HeadsABlock = 4;

    /// <summary>Which kernel <see cref="AttendPrefill"/> launches: wgmma's, or mma.sync's, which is always there. Set
    /// it to false where <see cref="WgmmaTrial"/> finds other bits.</summary>
    public bool UsesWgmma
    {
        get;
        set => field = !value || Options.Wgmma
            ? value : throw new CudaException("These kernels were compiled without wgmma.");
    }

    /// <summary>Packed queries (row, head of a group) of one prefill item.</summary>
    public int PrefillQueries => UsesWgmma ? WgmmaPrefillQueries : PrefillQueriesMin;

    /// <summary>Tiles of keys and values in turn; in INT8 they come as they lie, and one tile is expanded.</summary>
    private int AttentionSharedBytes
    {
        get
        {
            var tile = 2 * TileKeys * Options.HeadDim * sizeof(ushort);
            return Options.Int8Kv ? (Stages * 2 * TileKeys * (Options.HeadDim + sizeof(float))) + tile : Stages * tile;
        }
    }

    /// <summary>Beside the tiles: the scores of a tile, which decode's warps share.</summary>
    private int DecodeSharedBytes => AttentionSharedBytes + (QueriesAWarp * (TileKeys + 8) * sizeof(float));

    private int SharedBytesOf(string kernel) => kernel switch
    {
        "attention_decode" => DecodeSharedBytes,
        "attention_prefill" or "attention_prefill_wgmma" => AttentionSharedBytes,
        _ => 0,
    };

    /// <summary>Floats that <see cref="AttendDecode"/> needs for contexts of more than one partition.</summary>
    public long PartialFloats(int items, int heads, int partitions) =>
        partitions > 1 ? (long)items * heads * partitions * (Options.HeadDim + 2) : 0;

    /// <summary>Bias, head norm and rotary position; queries to their buffer, keys and values to their slots.</summary>
    /// <param name="bias">[Heads + 2 KvHeads] x HeadDim floats, or 0.</param>
    /// <param name="queryNorm">[HeadDim] floats, or 0; as <paramref name="keyNorm"/>.</param>
    /// <param name="cosine">[positions x HeadDim / 2] floats, as <paramref name="sine"/>.</param>
    public void RopeKvWrite(
        CudaStream stream, Partials queryKeyValue, in AttentionHeads heads, in GpuKvLayer kv, nint bias, nint queryNorm,
        nint keyNorm, float epsilon, nint cosine, nint sine, nint positions, nint slots, nint queries, int queryStride,
        nint count, int rows)
    {
        DemandGeometry("rope_kv_write", kv.Geometry, heads, rows);
        Demand(queryStride >= heads.Heads * Options.HeadDim, "rope_kv_write", rows, queryStride);
        _module.Launch(
            "rope_kv_write",
            new Extent(rows, LinearPlan.CeilDiv(heads.Heads + (2 * heads.KvHeads), HeadsABlock)),
            new Extent(HeadsABlock * 32), 0, stream,
            new RopeKvWriteArguments
            {
                QueryKeyValue = queryKeyValue,
                Bias = bias,
                QueryNorm = queryNorm,
                KeyNorm = keyNorm,
                Cosine = cosine,
                Sine = sine,
                Positions = positions,
                Slots = slots,
                Count = count,
                Queries = queries,
                Keys = kv.Keys,
                Values = kv.Values,
                BlockStride = kv.BlockStride,
                Heads = heads.Heads,
                KvHeads = heads.KvHeads,
                BlockTokens = kv.Geometry.BlockTokens,
                QueryStride = queryStride,
                Epsilon = epsilon,
            },
            $"{rows} rows, {heads}");
    }

    /// <summary>Attention of rows that are alone in their sequence's step.</summary>
    /// <param name="work">Items of <see cref="DecodeItemInts"/> ints.</param>
    /// <param name="partial">Room for <see cref="PartialFloats"/>.</param>
    /// <param name="partitions">At least that of the longest context.</param>
    public void AttendDecode(
        CudaStream stream, nint queries, int queryStride, in AttentionHeads heads, in GpuKvLayer kv, nint blockTables,
        nint work, nint count, int items, nint output, int outputStride, nint partial, int partitions)
    {
        DemandGeometry("attention_decode", kv.Geometry, heads, items);
        var arguments = Arguments(queries, queryStride, heads, kv, blockTables, work, count, output, outputStride);
        (arguments.Partial, arguments.Partitions) = (partial, partitions);
        var shapes = $"{items} rows, {heads}, up to {partitions} partitions";
        var pieces = heads.KvHeads * LinearPlan.CeilDiv(heads.Group, QueriesAWarp);
        _module.Launch(
            "attention_decode", new Extent(items, pieces, partitions), new Extent(DecodeThreads), DecodeSharedBytes,
            stream, arguments, shapes);
        if (partitions > 1)
        {
            _module.Launch(
                "attention_merge", new Extent(items, heads.Heads), new Extent(Options.HeadDim), 0, stream, arguments,
                shapes);
        }
    }

    /// <summary>Attention of chunks of rows, in items of <see cref="PrefillQueries"/>.</summary>
    /// <param name="work">Items of <see cref="PrefillItemInts"/> ints.</param>
    public void AttendPrefill(
        CudaStream stream, nint queries, int queryStride, in AttentionHeads heads, in GpuKvLayer kv, nint blockTables,
        nint work, nint count, int items, nint output, int outputStride)
    {
        DemandGeometry("attention_prefill", kv.Geometry, heads, items);
        _module.Launch(
            UsesWgmma ? "attention_prefill_wgmma" : "attention_prefill", new Extent(items, heads.KvHeads),
            new Extent(PrefillQueries / QueriesAWarp * 32), AttentionSharedBytes, stream,
            Arguments(queries, queryStride, heads, kv, blockTables, work, count, output, outputStride),
            $"{items} pieces, {heads}");
    }

    private AttentionArguments Arguments(
        nint queries, int queryStride, in AttentionHeads heads, in GpuKvLayer kv, nint blockTables, nint work,
        nint count, nint output, int outputStride) => new()
        {
            Queries = queries,
            Keys = kv.Keys,
            Values = kv.Values,
            BlockTables = blockTables,
            Work = work,
            Count = count,
            Output = output,
            BlockStride = kv.BlockStride,
            KvHeads = heads.KvHeads,
            Group = heads.Group,
            BlockTokens = kv.Geometry.BlockTokens,
            QueryStride = queryStride,
            OutputStride = outputStride,
            Window = heads.Window ?? 0,
            // Weights are powers of two: log2(e) goes into the scale.
            Scale = (float)(Math.Log2(Math.E) / Math.Sqrt(Options.HeadDim)),
        };

    private void DemandGeometry(string kernel, in KvGeometry geometry, in AttentionHeads heads, int rows)
    {
        Demand(rows > 0 && heads.KvHeads > 0 && heads.Heads % heads.KvHeads == 0, kernel, rows, heads.Heads);
        Demand(
            geometry.HeadDim == Options.HeadDim && geometry.Format == Options.KvFormat
                && geometry.KvHeads == heads.KvHeads && geometry.BlockTokens % 16 == 0,
            kernel, geometry.KvHeads, geometry.HeadDim, geometry.BlockTokens);
    }
}
