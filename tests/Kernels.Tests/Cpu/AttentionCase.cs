using Krewe.Abstractions;
using Krewe.Kernels.Reference;

namespace Krewe.Kernels.Tests.Cpu;

/// <summary>
/// One sequence's keys, values and queries at all positions, stored in random blocks of an arena whose every other slot
/// is NaN; and attention over it, for any rows, by the kernels or by the reference.
/// </summary>
internal sealed unsafe class AttentionCase : IDisposable
{
    private const int Layer = 1;

    private readonly NativeArray<byte> _arena;
    private readonly int[] _blockTable;
    private readonly float[] _queries;
    private readonly int? _window;

    public AttentionCase(
        int seed, int tokens, int heads, int kvHeads, int headDim, int blockTokens, KvFormat format, int? window = null)
    {
        var random = new Random(seed);
        (Tokens, Heads, _window) = (tokens, heads, window);
        Geometry = new KvGeometry(Layers: 2, kvHeads, headDim, blockTokens, format);
        var blocks = Geometry.BlocksFor(tokens);
        _arena = new NativeArray<byte>(2L * blocks * Geometry.BlockBytes);
        _blockTable = [.. Enumerable.Range(0, 2 * blocks).OrderBy(_ => random.Next()).Take(blocks)];
        _queries = RandomData.Floats(random, tokens * heads * headDim, scale: 2);
        RandomData.Poison(new Span<byte>(_arena.Data, (int)_arena.Length), format);
        for (var position = 0; position < tokens; position++)
        {
            fixed (float* keys = RandomData.Floats(random, kvHeads * headDim))
            fixed (float* values = RandomData.Floats(random, kvHeads * headDim))
                ReferenceKvWriter.Write(Block(position), Geometry, Layer, position % blockTokens, keys, values);
        }
    }

    public KvGeometry Geometry { get; }

    public int Tokens { get; }

    public int Heads { get; }

    public int RowLength => Heads * Geometry.HeadDim;

    public override string ToString() =>
        $"{Tokens} tokens, {Heads} heads, window {_window?.ToString() ?? "none"}, {Geometry}";

    /// <summary>Rows [firstRow, firstRow + rows), in pieces of as many rows as the kernel takes.</summary>
    public float[] Attend(CpuKernels kernels, int firstRow, int rows, int shiftedBy = 0)
    {
        var group = Heads / Geometry.KvHeads;
        var pieceRows = Math.Max(1, AttentionWork.MaxQueries / group);
        var result = new float[rows * RowLength];
        using var scratch = new NativeArray<float>(CpuKernels.AttentionScratchFloats(Geometry.HeadDim));
        fixed (float* queries = _queries)
        fixed (float* output = result)
        fixed (int* blockTable = _blockTable)
        {
            for (var row = 0; row < rows; row += pieceRows)
            {
                for (var (head, heads) = (0, 0); head < Heads; head += heads)
                {
                    heads = Math.Min(AttentionWork.MaxQueries, group - (head % group));
                    var column = head * Geometry.HeadDim;
                    kernels.Attend(new AttentionWork
                    {
                        Query = queries + ((firstRow + row) * RowLength) + column,
                        QueryStride = RowLength,
                        Output = output + (row * RowLength) + column,
                        OutputStride = RowLength,
                        Rows = Math.Min(pieceRows, rows - row),
                        Heads = heads,
                        FirstPosition = firstRow + row + shiftedBy,
                        Window = _window,
                        BlockTable = blockTable,
                        Arena = _arena.Data,
                        Geometry = Geometry,
                        Layer = Layer,
                        KvHead = head / group,
                        Scratch = scratch.Data,
                    });
                }
            }
        }

        return result;
    }

    public double[] Reference()
    {
        var result = new double[Tokens * RowLength];
        for (var i = 0; i < Tokens * Heads; i++)
        {
            var (position, head) = Math.DivRem(i, Heads);
            ReferenceAttention.Attend(
                RandomData.Doubles(_queries.AsSpan(i * Geometry.HeadDim, Geometry.HeadDim)), position, _window,
                _blockTable, _arena.Data, Geometry, Layer, head / (Heads / Geometry.KvHeads),
                result.AsSpan(i * Geometry.HeadDim, Geometry.HeadDim));
        }

        return result;
    }

    public void Dispose() => _arena.Dispose();

    private byte* Block(int position) =>
        _arena.Data + ((long)_blockTable[position / Geometry.BlockTokens] * Geometry.BlockBytes);
}
