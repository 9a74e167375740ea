using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Reference;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>
/// The kernels on the GPU that is there, against the scalar reference: what tests do on the emulated GPU, without a
/// test runner, so that a machine with nothing but the driver's libraries can do it.
/// </summary>
internal sealed unsafe class GpuKernelChecks(GpuBench gpu)
{
    // Half a unit in the last place of BF16.
    private const double Rounding = 1.0 / 256;

    private readonly Random _random = new(1);

    public IEnumerable<GpuRow> Run()
    {
        yield return Norm();
        yield return Linear(rounded: false);
        yield return Linear(rounded: true);
        foreach (var row in Attention()) yield return row;
        yield return Sample();
        yield return Copy();
    }

    /// <summary>Prefill attention by wgmma: whether it is used here, and the checks of attention if so.</summary>
    public IEnumerable<GpuRow> Wgmma()
    {
        yield return Wgmma(gpu.Kernels, "wgmma");
        yield return Wgmma(gpu.Int8Kernels, "wgmma, INT8 KV");
        if (!gpu.Kernels.UsesWgmma || !gpu.Int8Kernels.UsesWgmma) yield break;
        foreach (var row in Attention()) yield return row with { Name = $"{row.Name}, by wgmma" };
    }

    private IEnumerable<GpuRow> Attention()
    {
        foreach (var (context, heads, kvHeads, window) in new[]
        {
            (1, 4, 4, (int?)null), (65, 7, 1, 33), (530, 8, 2, null), (1100, 4, 1, 540),
        })
            yield return Attention(gpu.Kernels, context, heads, kvHeads, window);
        yield return Attention(gpu.Int8Kernels, 530, 8, 2, null);
    }

    /// <summary>Whether Hopper's instruction has the bits of the other; the rows behind it use it only then.</summary>
    private GpuRow Wgmma(CudaKernels kernels, string name)
    {
        if (gpu.WgmmaRefusal is { } refusal) return new GpuRow(name, null, $"not used: {refusal}");
        var difference = WgmmaTrial.Run(gpu.Device, kernels);
        kernels.UsesWgmma = difference is null;
        return new GpuRow(
            name, difference is null, difference ?? "prefill attention has the bits of mma.sync and of decode");
    }

    private GpuRow Norm()
    {
        const int Rows = 5, Hidden = 300, Stride = 320;
        var (residual, weight) = (Floats(Rows * Hidden, 3), Floats(Hidden, 1));
        var output = gpu.Room(Rows * Stride * sizeof(ushort));
        gpu.Kernels.RmsNorm(
            gpu.Stream, gpu.Upload(residual), Hidden, Partials.None, gpu.Upload(weight), Hidden, 1e-5f, output, Stride,
            0, gpu.Upload(Rows), Rows);
        var actual = gpu.Download<ushort>(output, Rows * Stride);
        var worst = 0.0;
        for (var row = 0; row < Rows; row++)
        {
            var expected = Doubles(residual.AsSpan(row * Hidden, Hidden));
            ReferenceRmsNorm.Normalize(expected, weight, 1e-5, expected);
            for (var i = 0; i < Hidden; i++)
            {
                var difference = ToFloat(actual[(row * Stride) + i]) - expected[i];
                worst = Worst(worst, difference / (Math.Abs(expected[i]) + 1e-4));
            }
        }

        return Row("rms_norm", worst, Rounding);
    }

    private GpuRow Linear(bool rounded)
    {
        const int Outputs = 200, Inputs = 416, Chunk = 128, MostRows = 200;
        var weights = Elements(Outputs * Inputs, 1);
        GpuMatrix matrix;
        if (rounded)
        {
            var (codes, scales) = (new sbyte[weights.Length], new float[Outputs]);
            for (var output = 0; output < Outputs; output++)
            {
                var row = weights.AsSpan(output * Inputs, Inputs);
                scales[output] = Int8Row.ScaleOf(row);
                for (var i = 0; i < Inputs; i++) codes[(output * Inputs) + i] = Int8Row.Round(row[i], scales[output]);
                Int8Row.Apply(row);
            }

            matrix = new GpuMatrix(gpu.Upload(codes), gpu.Upload(scales), Outputs, Inputs, Chunk);
        }
        else
            matrix = new GpuMatrix(gpu.Upload(Bits(weights)), 0, Outputs, Inputs, Chunk);

        var input = Elements(MostRows * Inputs, 1);
        var onDevice = gpu.Upload(Bits(input));
        float[] Product(int rows) => gpu.Download(
            gpu.Kernels.Linear(
                gpu.Stream, matrix, onDevice, Inputs, gpu.Room(matrix.OutputFloats(rows) * sizeof(float)),
                gpu.Upload(rows), rows),
            rows);
        var all = Product(MostRows);
        var worst = 0.0;
        var expected = new double[Outputs];
        for (var row = 0; row < MostRows; row++)
        {
            ReferenceLinear.Multiply(Doubles(input.AsSpan(row * Inputs, Inputs)), weights, [], expected);
            for (var i = 0; i < Outputs; i++) worst = Worst(worst, all[(row * Outputs) + i] - expected[i]);
        }

        var name = rounded ? "linear_int8" : "linear";
        foreach (var rows in new[] { 1, 3, 8, 9, 17, 40, 64, 65, 129 })
        {
            if (!GpuBench.SameBits(Product(rows), all[..(rows * Outputs)]))
                return new GpuRow(name, false, $"{rows} rows have other bits than {MostRows}");
        }

        gpu.Clear();
        return Row(name, worst, 1e-3, "; the same bits with 1 to 200 rows");
    }

    private GpuRow Attention(CudaKernels kernels, int context, int heads, int kvHeads, int? window)
    {
        var dim = kernels.Options.HeadDim;
        var geometry = new KvGeometry(1, kvHeads, dim, 16, kernels.Options.KvFormat);
        var blocks = geometry.BlocksFor(context) + 3;
        int[] table = [.. Enumerable.Range(0, blocks).OrderBy(_ => _random.Next()).Take(blocks - 3)];
        var arena = new byte[blocks * geometry.BlockBytes];
        arena.AsSpan().Fill(0xff);
        for (var position = 0; position < context; position++)
        {
            fixed (byte* start = arena)
            fixed (float* keys = Floats(kvHeads * dim, 2), values = Floats(kvHeads * dim, 1))
            {
                ReferenceKvWriter.Write(
                    start + ((long)table[position / 16] * geometry.BlockBytes), geometry, 0, position % 16, keys,
                    values);
            }
        }

        var (width, rows) = (heads * dim, Math.Min(context, 40));
        var queries = Elements(context * width, 3);
        var (all, kv) = (new AttentionHeads(heads, kvHeads, window), new GpuKvLayer(gpu.Upload(arena), geometry, 0));
        var (query, tables) = (gpu.Upload(Bits(queries)), gpu.Upload(table));
        var (decodes, pieces, first) = (new List<int>(), new List<int>(), context - rows);
        for (var row = first; row < context; row++) decodes.AddRange([row, row, 0]);
        for (var packed = 0; packed < rows * all.Group; packed += kernels.PrefillQueries)
            pieces.AddRange([first, first, rows, 0, packed]);
        var partitions = ((context - 1) / CudaKernels.PartitionTokens) + 1;
        var (decoded, chunk) = (gpu.Room(context * width * 2L), gpu.Room(context * width * 2L));
        kernels.AttendDecode(
            gpu.Stream, query, width, all, kv, tables, gpu.Upload([.. decodes]), gpu.Upload(rows), rows, decoded, width,
            gpu.Room(4 * (1 + kernels.PartialFloats(rows, heads, partitions))), partitions);
        var items = pieces.Count / CudaKernels.PrefillItemInts;
        kernels.AttendPrefill(
            gpu.Stream, query, width, all, kv, tables, gpu.Upload([.. pieces]), gpu.Upload(items), items, chunk, width);
        var actual = gpu.Download<ushort>(decoded, context * width)[(first * width)..];
        var same = actual.AsSpan().SequenceEqual(gpu.Download<ushort>(chunk, context * width).AsSpan(first * width));
        gpu.Clear();
        var worst = 0.0;
        var expected = new double[dim];
        for (var i = 0; i < rows * heads; i++)
        {
            var (row, head) = Math.DivRem(i, heads);
            var one = Doubles(queries.AsSpan(((first + row) * width) + (head * dim), dim));
            for (var d = 0; d < dim; d++) one[d] /= Math.Sqrt(dim);
            fixed (byte* start = arena)
            {
                ReferenceAttention.Attend(
                    one, first + row, window, table, start, geometry, 0, head / all.Group, expected);
            }

            for (var d = 0; d < dim; d++) worst = Worst(worst, ToFloat(actual[(i * dim) + d]) - expected[d]);
        }

        var int8 = kernels.Options.Int8Kv;
        var name = $"attention, {context} positions{(window is null ? "" : $", window {window}")}"
            + (int8 ? ", INT8 KV" : "");
        // What codes stand for is rounded to elements, keys and values: two roundings more.
        return same
            ? Row(name, worst, (int8 ? 4 : 2) * Rounding, "; decode and prefill have the same bits")
            : new GpuRow(name, false, "decode and prefill have other bits");
    }

    private GpuRow Sample()
    {
        const int Rows = 64, Vocabulary = 5000;
        var logits = Floats(Rows * Vocabulary, 4);
        SamplerSettings Settings(int row) => new()
        {
            Temperature = row % 5 == 0 ? 0 : 0.8f,
            TopK = row % 3 == 1 ? 40 : null,
            TopP = row % 4 == 2 ? 0.7f : 1,
            Seed = row * 99991L,
        };
        var draws = Enumerable.Range(0, Rows).Select(row => SampleDraw.Of(Settings(row), row)!.Value).ToArray();
        var tokens = gpu.Room(Rows * sizeof(int));
        gpu.Kernels.Sample(
            gpu.Stream, gpu.Upload(logits), Vocabulary, Vocabulary, gpu.Upload(draws), tokens, gpu.Upload(Rows), Rows);
        var drawn = gpu.Download<int>(tokens, Rows);
        using var sampler = new Sampler(Vocabulary);
        var equal = Enumerable.Range(0, Rows).Count(row => drawn[row] == sampler.Sample(
            logits.AsSpan(row * Vocabulary, Vocabulary), Settings(row), row, [], [], []));
        gpu.Clear();
        return new GpuRow("sample", equal == Rows, $"{equal} of {Rows} tokens are the CPU's");
    }

    private GpuRow Copy()
    {
        const int Block = 16 * 1100, Blocks = 9;
        var bytes = new byte[Blocks * Block];
        _random.NextBytes(bytes);
        int[] order = [.. Enumerable.Range(0, Blocks).OrderBy(_ => _random.Next())];
        CopyPiece[] pieces = [.. order.Select((block, i) => new CopyPiece(block * Block, i * Block, Block))];
        CopyPiece[] back = [.. pieces.Select(piece => new CopyPiece(piece.Target, piece.Source, Block))];
        var (packed, target) = (gpu.Room(bytes.Length), gpu.Room(bytes.Length));
        gpu.Kernels.BlockCopy(gpu.Stream, gpu.Upload(pieces), Blocks, Block, gpu.Upload(bytes), packed);
        gpu.Kernels.BlockCopy(gpu.Stream, gpu.Upload(back), Blocks, Block, packed, target);
        var right = gpu.Download<byte>(target, bytes.Length).AsSpan().SequenceEqual(bytes)
            && !gpu.Download<byte>(packed, bytes.Length).AsSpan().SequenceEqual(bytes);
        gpu.Clear();
        return new GpuRow("block_copy", right, $"gather and scatter of {Blocks} blocks");
    }

    private static GpuRow Row(string name, double worst, double bound, string more = "") =>
        new(name, worst <= bound, $"off by {worst:0.0e+0} at most, allowed {bound:0.0e+0}{more}");

    /// <summary>NaN counts as infinitely far.</summary>
    private static double Worst(double worst, double difference) =>
        double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(worst, Math.Abs(difference));

    private float[] Floats(int count, float scale)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = (float)((_random.NextDouble() * 2) - 1) * scale;
        return values;
    }

    private float[] Elements(int count, float scale) =>
        Array.ConvertAll(Bits(Floats(count, scale)), ToFloat);

    private static ushort[] Bits(float[] values) => Array.ConvertAll(values, KvNumber.ToBrain);

    private static float ToFloat(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private static double[] Doubles(ReadOnlySpan<float> values)
    {
        var result = new double[values.Length];
        for (var i = 0; i < result.Length; i++) result[i] = values[i];
        return result;
    }
}
