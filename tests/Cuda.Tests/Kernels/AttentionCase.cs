using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Reference;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>
/// One sequence with random keys and values in blocks of a random order, in an arena that is otherwise poison. Its last
/// rows are computed as decodes and as chunks, and compared with the reference.
/// </summary>
internal sealed unsafe class AttentionCase
{
    private readonly Gpu _gpu;
    private readonly KvGeometry _geometry;
    private readonly AttentionHeads _heads;
    private readonly int _context;
    private readonly int[] _table;
    private readonly byte[] _arena;
    private readonly float[] _queries;
    private readonly nint _onDevice;
    private readonly nint _queriesOnDevice;

    public AttentionCase(
        Gpu gpu, Random random, int context, int heads, int kvHeads, int? window, int dim, int blockTokens,
        KvFormat format)
    {
        (_gpu, _context) = (gpu, context);
        _heads = new AttentionHeads(heads, kvHeads, window);
        _geometry = new KvGeometry(2, kvHeads, dim, blockTokens, format);
        var blocks = _geometry.BlocksFor(context) + 3;
        _table = [.. Enumerable.Range(0, blocks).OrderBy(_ => random.Next()).Take(_geometry.BlocksFor(context))];
        _arena = new byte[blocks * _geometry.BlockBytes];
        RandomData.Poison(_arena, format);
        fixed (byte* arena = _arena)
        {
            for (var position = 0; position < context; position++)
            {
                fixed (float* keys = RandomData.Floats(random, kvHeads * dim, 2))
                fixed (float* values = RandomData.Floats(random, kvHeads * dim))
                {
                    ReferenceKvWriter.Write(
                        arena + ((long)_table[position / blockTokens] * _geometry.BlockBytes), _geometry, 1,
                        position % blockTokens, keys, values);
                }
            }
        }

        // Large queries: weights that differ, so that a wrong key shows.
        _queries = Elements.Random(random, context * heads * dim, ElementFormat, 3);
        _onDevice = gpu.Upload(_arena);
        _queriesOnDevice = gpu.Upload(Elements.ToBits(_queries, ElementFormat));
    }

    /// <summary>The same with the numbers that <paramref name="int8"/>'s codes and scales stand for, as elements.
    /// </summary>
    private AttentionCase(AttentionCase int8)
    {
        (_gpu, _context, _heads, _table) = (int8._gpu, int8._context, int8._heads, int8._table);
        (_queries, _queriesOnDevice) = (int8._queries, int8._queriesOnDevice);
        var source = int8._geometry;
        _geometry = source with { Format = ElementFormat };
        _arena = new byte[int8._arena.Length / source.BlockBytes * _geometry.BlockBytes];
        RandomData.Poison(_arena, ElementFormat);
        var vector = new float[source.HeadDim];
        fixed (byte* from = int8._arena, to = _arena)
        {
            for (var i = 0; i < _context * source.KvHeads * 2; i++)
            {
                var (isValue, head, position) = (i % 2 == 1, i / 2 % source.KvHeads, i / 2 / source.KvHeads);
                var slot = position % source.BlockTokens;
                for (var dim = 0; dim < vector.Length; dim++)
                {
                    vector[dim] = KvPlane.Read(
                        Plane(from, source, position, isValue), source, isValue, head, slot, dim);
                }

                KvPlane.Write(Plane(to, _geometry, position, isValue), _geometry, isValue, head, slot, vector);
            }
        }

        _onDevice = _gpu.Upload(_arena);
    }

    public AttentionCase Expanded() => new(this);

    /// <summary>Of queries and results; INT8 is a form of KV alone.</summary>
    private KvFormat ElementFormat => _geometry.Format == KvFormat.F16 ? KvFormat.F16 : KvFormat.BF16;

    private int Width => _heads.Heads * _geometry.HeadDim;

    /// <summary>[rows x heads x dims] of the last rows, each a decode of its own, all in one launch.</summary>
    public float[] Decode(CudaKernels kernels, int rows)
    {
        var work = new List<int>();
        for (var row = _context - rows; row < _context; row++) work.AddRange([row, row, 0]);
        var partitions = ((_context - 1) / CudaKernels.PartitionTokens) + 1;
        var output = _gpu.Poisoned<ushort>(_context * Width);
        kernels.AttendDecode(
            _gpu.Stream, _queriesOnDevice, Width, _heads, new GpuKvLayer(_onDevice, _geometry, 1), _gpu.Upload(_table),
            _gpu.Upload(work.ToArray()), _gpu.Upload(rows), rows, output, Width,
            _gpu.Poisoned<float>(1 + kernels.PartialFloats(rows, _heads.Heads, partitions)), partitions);
        return Last(output, rows);
    }

    /// <summary>The same rows as a chunk.</summary>
    public float[] Prefill(CudaKernels kernels, int rows)
    {
        var work = new List<int>();
        var first = _context - rows;
        for (var query = 0; query < rows * _heads.Group; query += kernels.PrefillQueries)
            work.AddRange([first, first, rows, 0, query]);
        var items = work.Count / CudaKernels.PrefillItemInts;
        var output = _gpu.Poisoned<ushort>(_context * Width);
        kernels.AttendPrefill(
            _gpu.Stream, _queriesOnDevice, Width, _heads, new GpuKvLayer(_onDevice, _geometry, 1), _gpu.Upload(_table),
            _gpu.Upload(work.ToArray()), _gpu.Upload(items), items, output, Width);
        return Last(output, rows);
    }

    /// <summary>What is wrong with the last rows' result; null when it is right.</summary>
    public string? Problem(float[] actual, int rows)
    {
        // Weights and the result are rounded to the format: of values up to 1, two half units.
        var bound = 2 * Elements.Rounding(ElementFormat);
        var query = new double[_geometry.HeadDim];
        var expected = new double[_geometry.HeadDim];
        fixed (byte* arena = _arena)
        {
            for (var i = 0; i < rows * _heads.Heads; i++)
            {
                var (row, head) = Math.DivRem(i, _heads.Heads);
                var position = _context - rows + row;
                for (var dim = 0; dim < query.Length; dim++)
                {
                    query[dim] = _queries[(position * Width) + (head * query.Length) + dim]
                        / Math.Sqrt(query.Length);
                }

                ReferenceAttention.Attend(
                    query, position, _heads.Window, _table, arena, _geometry, 1, head / _heads.Group, expected);
                for (var dim = 0; dim < query.Length; dim++)
                {
                    var got = actual[(i * query.Length) + dim];
                    if (!(Math.Abs(got - expected[dim]) <= bound))
                    {
                        return $"position {position} of {_context}, head {head}, dim {dim}: {got}, expected "
                            + $"{expected[dim]} within {bound}";
                    }
                }
            }
        }

        return null;
    }

    private float[] Last(nint output, int rows) => Elements.ToFloats(
        _gpu.Download<ushort>(output, _context * Width)[^(rows * Width)..], ElementFormat);

    private byte* Plane(byte* arena, in KvGeometry geometry, int position, bool isValue) => arena
        + ((long)_table[position / geometry.BlockTokens] * geometry.BlockBytes) + geometry.LayerBytes
        + (isValue ? geometry.PlaneBytes : 0);
}
