namespace Krewe.Kernels;

/// <summary>
/// Where one thread keeps up to 16 queries while it walks their positions: queries, scores of one tile, running maxima
/// and partial sums, outputs. All in the first-level cache.
/// </summary>
internal readonly unsafe struct AttentionScratch
{
    /// <summary>Positions between two updates of the running maximum. A change changes bits: raise the kernel version.
    /// </summary>
    public const int TileTokens = 64;

    /// <summary>Slots that lie together in one block, whatever its size: BlockTokens is a multiple of this.</summary>
    public const int GroupTokens = 16;

    private const int MaxQueries = AttentionWork.MaxQueries;

    /// <summary>A kernel for 8 queries reads and drops this many outputs behind the last one, at most.</summary>
    private const int OverreadQueries = 7;

    private const int GroupsPerTile = TileTokens / GroupTokens;

    /// <summary>Two 512-bit vectors: a kernel computes outputs in such pairs.</summary>
    private const int DimsGranule = 32;

    private readonly float* _start;

    public AttentionScratch(float* start, int headDim)
    {
        _start = start;
        Dims = PaddedDims(headDim);
    }

    /// <summary>HeadDim rounded up to whole vector pairs; the distance between two queries and between two
    /// outputs.</summary>
    public int Dims { get; }

    public static int Floats(int headDim) =>
        MaxQueries * ((2 * PaddedDims(headDim)) + TileTokens + (2 * LaneMath.SumLanes) + 1)
        + (3 * GroupsPerTile * (sizeof(byte*) / sizeof(float))) + (OverreadQueries * PaddedDims(headDim));

    /// <summary>[Dims].</summary>
    public float* Query(int query) => _start + (query * Dims);

    /// <summary>[Dims], not yet divided by the sum.</summary>
    public float* Output(int query) => _start + ((MaxQueries + query) * Dims);

    /// <summary>[TileTokens] scores, then weights.</summary>
    public float* Scores(int query) => Output(MaxQueries) + (query * TileTokens);

    /// <summary>[16] partial sums of weights.</summary>
    public float* Sums(int query) => Scores(MaxQueries) + (query * LaneMath.SumLanes);

    /// <summary>[16] times what the newest maximum multiplies earlier outputs by.</summary>
    public float* Rescale(int query) => Sums(MaxQueries + query);

    /// <summary>Makes <see cref="Rescale"/> 1: the outputs have been multiplied.</summary>
    public void KeepScale(int query) => new Span<float>(Rescale(query), LaneMath.SumLanes).Fill(1);

    /// <summary>The largest score so far.</summary>
    public ref float Maximum(int query) => ref Sums(2 * MaxQueries)[query];

    /// <summary>[GroupsPerTile] dim 0 of the keys of each group's first slot.</summary>
    public byte** Keys => (byte**)(Sums(2 * MaxQueries) + MaxQueries);

    /// <summary>[GroupsPerTile] dim 0 of the values of each group's first slot.</summary>
    public byte** Values => Keys + GroupsPerTile;

    /// <summary>[GroupsPerTile] where the keys of the next tile's groups begin, or any readable place.</summary>
    public byte** Ahead => Values + GroupsPerTile;

    public void Reset(int queries)
    {
        new Span<float>(Query(0), MaxQueries * Dims).Clear();
        new Span<float>(Output(0), queries * Dims).Clear();
        new Span<float>(Sums(0), queries * LaneMath.SumLanes).Clear();
        for (var query = 0; query < queries; query++)
            Maximum(query) = float.NegativeInfinity;
    }

    private static int PaddedDims(int headDim) => (headDim + DimsGranule - 1) / DimsGranule * DimsGranule;
}
