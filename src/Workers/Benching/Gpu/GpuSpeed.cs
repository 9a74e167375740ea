using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>How large the measured things are.</summary>
/// <param name="CopyBytes">Of the copies that give the GPU's bandwidth.</param>
/// <param name="Contexts">Of decode attention, in tokens.</param>
/// <param name="PrefillTokens">Of prefill attention; the last is judged.</param>
/// <param name="MatrixSize">Rows, inputs and outputs of the product that gives the matrix rate.</param>
/// <param name="Prompts">Tokens of prompts whose time to the first token is measured.</param>
/// <param name="Repeats">Of which the best counts.</param>
/// <param name="Judged">Whether figures are held against bounds.</param>
public sealed record GpuSizes(
    long CopyBytes, IReadOnlyList<int> Contexts, IReadOnlyList<int> PrefillTokens, int MatrixSize,
    IReadOnlyList<int> Prompts, int Repeats, bool Judged)
{
    /// <summary>Of an H100 or the like.</summary>
    public static GpuSizes Full { get; } =
        new(1L << 30, [4096, 8192, 16384, 32768], [2048, 8192], 8192, [2048, 8192], 10, Judged: true);

    /// <summary>The same bounds from fewer figures.</summary>
    public static GpuSizes Quick { get; } = new(1L << 30, [4096, 32768], [8192], 8192, [2048], 3, Judged: true);

    /// <summary>To see that the bench itself works.</summary>
    public static GpuSizes Small { get; } = new(1 << 20, [100], [128], 128, [64], 1, Judged: false);
}

/// <summary>
/// Kernels beside the machine's own limits, measured in the same run: bandwidth is that of a plain copy on the device,
/// the matrix rate is the best of cuBLASLt's. Shapes are those of an 8-billion-parameter Llama: 32 heads, 8 KV heads of
/// 128.
/// </summary>
internal sealed class GpuSpeed(GpuBench gpu, GpuSizes sizes, CublasLt? library)
{
    private const int Heads = 32;
    private const int KvHeads = 8;
    private const int Sequences = 16;
    private const double AttentionBound = 0.7;
    private const double CopyBound = 0.8;
    private const double PrefillBound = 0.5;
    private const double ProductBound = 0.9;

    private int Dim => gpu.Kernels.Options.HeadDim;

    /// <summary>Bytes a second, read and written together.</summary>
    public double Bandwidth { get; private set; }

    public IEnumerable<GpuRow> Run()
    {
        yield return Try("copy on the device", () =>
        {
            var copied = Copy();
            return new GpuRow("copy on the device", null, $"{copied / 1e9:0} GB/s, read and written")
            {
                Value = copied / 1e9,
                Unit = "GB/s",
            };
        });
        foreach (var context in sizes.Contexts) yield return DecodeAttention(context, Sequences, gpu.Kernels);
        yield return DecodeAttention(sizes.Contexts[0], 1, gpu.Kernels);
        yield return DecodeAttention(sizes.Contexts[^1], Sequences, gpu.Int8Kernels);
        foreach (var rows in new[] { 1, 16, 64 })
        {
            foreach (var row in Products(rows)) yield return row;
        }

        yield return Draw("plain", new SamplerSettings { Temperature = 0.8f });
        yield return Draw("top_p 0.95", new SamplerSettings { Temperature = 0.8f, TopP = 0.95f });
        yield return Draw("top_k 50, top_p 0.95", new SamplerSettings { Temperature = 0.8f, TopK = 50, TopP = 0.95f });
        yield return GatherScatter(scatter: false);
        yield return GatherScatter(scatter: true);
        var rate = 0.0;
        if (library is not null)
        {
            yield return Try("matrix rate, cuBLASLt", () =>
            {
                var size = sizes.MatrixSize;
                rate = 2.0 * size * size * size / Product(size, size, size, By.BestOfCublasLt);
                return new GpuRow("matrix rate, cuBLASLt", null, $"{rate / 1e12:0.0} T operations/s at {size}")
                {
                    Value = rate / 1e12,
                    Unit = "T operations/s",
                };
            });
        }

        foreach (var tokens in sizes.PrefillTokens) yield return PrefillAttention(tokens, rate, gpu.Kernels);
        if (gpu.MmaKernels is { } mma)
        {
            foreach (var tokens in sizes.PrefillTokens) yield return PrefillAttention(tokens, rate, mma);
        }

        foreach (var row in Products(sizes.PrefillTokens[^1])) yield return row;
    }

    /// <summary>Measures <see cref="Bandwidth"/>.</summary>
    public double Copy()
    {
        var (source, target) = (gpu.Room(sizes.CopyBytes), gpu.Room(sizes.CopyBytes));
        var seconds = Time(() => gpu.Stream.CopyOnDevice(target, source, sizes.CopyBytes));
        gpu.Clear();
        return Bandwidth = 2 * sizes.CopyBytes / seconds;
    }

    private GpuRow GatherScatter(bool scatter) => Try(scatter ? "block scatter" : "block gather", () =>
    {
        var geometry = new KvGeometry(32, KvHeads, Dim, 16, KvFormat.BF16);
        var blocks = (int)Math.Max(2, sizes.CopyBytes / geometry.BlockBytes);
        var random = new Random(1);
        CopyPiece[] pieces =
        [
            .. Enumerable.Range(0, blocks).OrderBy(_ => random.Next()).Select((block, i) =>
            {
                var (there, here) = ((long)block * geometry.BlockBytes, (long)i * geometry.BlockBytes);
                return new CopyPiece(scatter ? here : there, scatter ? there : here, geometry.BlockBytes);
            }),
        ];
        var bytes = (long)blocks * geometry.BlockBytes;
        var (list, source, target) = (gpu.Upload(pieces), gpu.Room(bytes), gpu.Room(bytes));
        var seconds = Time(
            () => gpu.Kernels.BlockCopy(gpu.Stream, list, blocks, geometry.BlockBytes, source, target));
        gpu.Clear();
        return Share(
            scatter ? "block scatter" : "block gather", 2 * bytes / seconds, Bandwidth, "GB/s", 1e9, CopyBound,
            $"{blocks} blocks");
    });

    /// <summary>One sequence alone has too few bytes to fill a GPU: its figure is not judged.</summary>
    private GpuRow DecodeAttention(int context, int sequences, CudaKernels kernels)
    {
        var name = $"decode attention, {context} tokens{(kernels.Options.Int8Kv ? ", INT8 KV" : "")}"
            + (sequences == 1 ? ", 1 sequence" : "");
        return Try(name, () => DecodeAttention(name, context, sequences, kernels));
    }

    private GpuRow DecodeAttention(string name, int context, int sequences, CudaKernels kernels)
    {
        // Codes and scales of random bits are numbers, too.
        var geometry = new KvGeometry(1, KvHeads, Dim, 16, kernels.Options.KvFormat);
        var blocks = geometry.BlocksFor(context);
        var arena = gpu.RandomElements((long)blocks * sequences * geometry.BlockBytes / 2, 1, 1);
        var width = Heads * Dim;
        var query = gpu.RandomElements(sequences * (long)width, 1, 2);
        var random = new Random(3);
        int[] tables = [.. Enumerable.Range(0, blocks * sequences).OrderBy(_ => random.Next())];
        int[] work = [.. Enumerable.Range(0, sequences).SelectMany(i => new[] { i, context - 1, i * blocks })];
        var partitions = ((context - 1) / CudaKernels.PartitionTokens) + 1;
        var (table, items, count) = (gpu.Upload(tables), gpu.Upload(work), gpu.Upload(sequences));
        var output = gpu.Room(sequences * width * 2L);
        var partial = gpu.Room(4 * (1 + gpu.Kernels.PartialFloats(sequences, Heads, partitions)));
        var heads = new AttentionHeads(Heads, KvHeads, null);
        var seconds = Time(() => kernels.AttendDecode(
            gpu.Stream, query, width, heads, new GpuKvLayer(arena, geometry, 0), table, items, count, sequences, output,
            width, partial, partitions));
        gpu.Clear();
        var bytes = (double)sequences * context * geometry.BlockBytes / 16;
        return Share(
            name, bytes / seconds, Bandwidth, "GB/s", 1e9, sequences > 1 ? AttentionBound : null,
            $"{sequences} sequences, {seconds * 1e6:0} us");
    }

    /// <summary>Tokens of 64 sequences; logits are spread as those of a model that is not sure.</summary>
    private GpuRow Draw(string what, SamplerSettings settings) => Try($"draw, {what}", () =>
    {
        const int Rows = 64;
        var vocabulary = sizes.Judged ? 128_256 : 1000;
        var random = new Random(5);
        var logits = new float[Rows * vocabulary];
        for (var i = 0; i < logits.Length; i++)
            logits[i] = (float)(12 * (random.NextDouble() + random.NextDouble() + random.NextDouble()));
        var draws = Enumerable.Range(0, Rows).Select(row => SampleDraw.Of(settings, row)!.Value).ToArray();
        var (from, how, count) = (gpu.Upload(logits), gpu.Upload(draws), gpu.Upload(Rows));
        var tokens = gpu.Room(Rows * sizeof(int));
        var seconds = Time(
            () => gpu.Kernels.Sample(gpu.Stream, from, vocabulary, vocabulary, how, tokens, count, Rows));
        gpu.Clear();
        return new GpuRow($"draw, {what}", null, $"{seconds * 1e6:0} us for {Rows} rows of {vocabulary} logits")
        {
            Value = seconds * 1e6,
            Unit = "us",
        };
    });

    private GpuRow PrefillAttention(int tokens, double rate, CudaKernels kernels) =>
        Try($"prefill attention, {tokens} tokens, by {(kernels.UsesWgmma ? "wgmma" : "mma.sync")}", () =>
    {
        var width = Heads * Dim;
        var geometry = new KvGeometry(1, KvHeads, Dim, 16, KvFormat.BF16);
        var blocks = geometry.BlocksFor(tokens);
        var arena = gpu.RandomElements((long)blocks * geometry.BlockBytes / 2, 1, 1);
        var query = gpu.RandomElements((long)tokens * width, 1, 2);
        var heads = new AttentionHeads(Heads, KvHeads, null);
        var pieces = new List<int>();
        for (var packed = 0; packed < tokens * heads.Group; packed += kernels.PrefillQueries)
            pieces.AddRange([0, 0, tokens, 0, packed]);
        var items = pieces.Count / CudaKernels.PrefillItemInts;
        var (table, list, count) = (
            gpu.Upload(Enumerable.Range(0, blocks).ToArray()), gpu.Upload(pieces.ToArray()), gpu.Upload(items));
        var output = gpu.Room((long)tokens * width * 2);
        var seconds = Time(() => kernels.AttendPrefill(
            gpu.Stream, query, width, heads, new GpuKvLayer(arena, geometry, 0), table, list, count, items, output,
            width));
        gpu.Clear();
        // Scores and sums: 2 x 2 operations a pair and dimension, half of the pairs are seen.
        var operations = 4.0 * Dim * Heads * tokens * (tokens + 1.0) / 2;
        var row = Share(
            $"prefill attention, {tokens} tokens", operations / seconds, rate, "T operations/s", 1e12, PrefillBound,
            $"{(kernels.UsesWgmma ? "by wgmma" : "by mma.sync")}, {seconds * 1000:0.00} ms");
        // The bound is one of long prompts and of what runners use here.
        return tokens == sizes.PrefillTokens[^1] && kernels == gpu.Kernels ? row : row with { Verdict = null };
    });

    /// <summary>The gate and up product of an 8-billion-parameter layer: ours, and cuBLASLt as a worker uses it, with
    /// the algorithm that it has for any number of rows; each beside the best that cuBLASLt can do for these rows.
    /// </summary>
    private IEnumerable<GpuRow> Products(int rows)
    {
        var (outputs, inputs) = (sizes.MatrixSize >= 4096 ? 28672 : 256, Math.Min(4096, sizes.MatrixSize));
        var name = $"product of {rows} rows, {inputs} x {outputs}";
        var (exact, best) = (0.0, 0.0);
        yield return Try(name, () =>
        {
            exact = Product(rows, outputs, inputs, By.Krewe);
            // Weights, read once, are nearly all that few rows need.
            var share = Bandwidth > 0 && rows <= CudaKernels.FewRows
                ? $", {2.0 * outputs * inputs / Bandwidth / exact:P0} of what reading the weights allows"
                : "";
            if (library is not null)
            {
                best = Product(rows, outputs, inputs, By.BestOfCublasLt);
                return Row(name, exact, share);
            }

            return new GpuRow(name, null, $"{exact * 1e6:0} us{share}; no cuBLASLt beside it")
            {
                Value = exact * 1e6,
                Unit = "us",
            };
        });
        if (best == 0) yield break;
        var used = $"{name}, products cublaslt";
        yield return Try(used, () => Row(used, Product(rows, outputs, inputs, By.CublasLt), ""));

        GpuRow Row(string of, double seconds, string more) => new(
            of, Judge(best / seconds >= ProductBound),
            $"{seconds * 1e6:0} us{more}, cuBLASLt's best {best * 1e6:0} us: {best / seconds:P0} of its speed, "
                + $"wanted {ProductBound:P0}")
        {
            Value = seconds * 1e6,
            Unit = "us",
            Limit = best * 1e6,
        };
    }

    private double Product(int rows, int outputs, int inputs, By by)
    {
        var chunk = LinearPlan.ChunkInputs(outputs, inputs, whole: false);
        var matrix = new GpuMatrix(gpu.RandomElements((long)outputs * inputs, 1, 1), 0, outputs, inputs, chunk);
        var input = gpu.RandomElements((long)rows * inputs, 1, 2);
        var output = gpu.Room(matrix.OutputFloats(rows) * sizeof(float));
        var count = gpu.Upload(rows);
        var seconds = double.PositiveInfinity;
        if (by == By.BestOfCublasLt)
        {
            var workspace = gpu.Room(CublasLt.WorkspaceBytes);
            foreach (var algorithm in library!.Candidates(matrix, inputs, rows))
            {
                seconds = Math.Min(seconds, Time(() => library.Run(
                    gpu.Stream, matrix, input, inputs, output, rows, algorithm, workspace)));
            }
        }
        else
        {
            seconds = Time(() => _ = by == By.Krewe
                ? gpu.Kernels.Linear(gpu.Stream, matrix, input, inputs, output, count, rows)
                : library!.Linear(gpu.Stream, matrix, input, inputs, output, rows));
        }

        gpu.Clear();
        return seconds;
    }

    private double Time(Action queue) => gpu.Time(queue, sizes.Repeats);

    /// <summary>A measurement that fails is a row, and the next ones are taken, unless the context is lost.</summary>
    private GpuRow Try(string name, Func<GpuRow> measure)
    {
        try
        {
            return measure();
        }
        catch (CudaException error) when (!error.IsContextLost)
        {
            gpu.Clear();
            return new GpuRow(name, false, error.Message);
        }
    }

    private bool? Judge(bool holds) => sizes.Judged ? holds : null;

    private GpuRow Share(
        string name, double measured, double limit, string unit, double scale, double? bound, string more)
    {
        var what = $"{measured / scale:0.0} {unit}{(more.Length > 0 ? $" ({more})" : "")}";
        return limit > 0
            ? new GpuRow(
                name, bound is { } least ? Judge(measured / limit >= least) : null,
                $"{what}: {measured / limit:P0} of the limit{(bound is null ? "" : $", wanted {bound:P0}")}")
            {
                Value = measured / scale,
                Unit = unit,
                Limit = limit / scale,
            }
            : new GpuRow(name, null, what) { Value = measured / scale, Unit = unit };
    }

    private enum By
    {
        Krewe,
        CublasLt,
        BestOfCublasLt,
    }
}
