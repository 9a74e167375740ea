using Krewe.Abstractions;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// Whether prefill attention by wgmma has the bits of mma.sync, tried on the GPU that is there. PTX leaves the order of
/// sums inside either instruction to the hardware, and decode has only mma.sync: where they differ, a token's KV would
/// depend on whether its row came in a chunk or alone (ADR 0016). The numbers are such that another order shows: large
/// products that cancel, and what is left of them decides.
/// </summary>
public static unsafe class WgmmaTrial
{
    private const int Heads = 6;
    private const int KvHeads = 2;
    private const int Rows = 44;
    private const int DecodedRows = 4;
    private const int BlockTokens = 16;

    private enum Numbers
    {
        Plain,

        /// <summary>Products of queries and keys cancel in pairs of dimensions.</summary>
        ScoresCancel,

        /// <summary>Weights are equal, and values cancel in pairs of positions.</summary>
        ValuesCancel,
    }

    /// <summary>Why wgmma cannot be tried; null where it can.</summary>
    public static string? Refusal(GpuInfo gpu, Nvrtc compiler, KernelOptions options)
    {
        ArgumentNullException.ThrowIfNull(compiler);
        ArgumentNullException.ThrowIfNull(options);
        if (gpu.Architecture != CudaKernels.WgmmaArchitecture)
            return $"wgmma is an instruction of sm_90 (H100, H200), and {gpu.Name} is sm_{gpu.Architecture}";
        return compiler.KnowsWgmma
            ? (options with { Wgmma = true }).Refusal()
            : $"NVRTC {compiler.Version} does not compile for sm_90a; install 12.0 or newer";
    }

    /// <summary>Null where all bits were equal, else the first row that differs.</summary>
    /// <exception cref="CudaException">The GPU fails.</exception>
    public static string? Run(CudaDevice device, CudaKernels kernels)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(kernels);
        using var stream = device.CreateStream();
        return Run(device, kernels, stream, 600, null, Numbers.Plain)
            ?? Run(device, kernels, stream, 90, 50, Numbers.ScoresCancel)
            ?? Run(device, kernels, stream, 250, null, Numbers.ScoresCancel)
            ?? Run(device, kernels, stream, 250, null, Numbers.ValuesCancel);
    }

    private static string? Run(
        CudaDevice device, CudaKernels kernels, CudaStream stream, int context, int? window, Numbers numbers)
    {
        var random = new Random((context * 3) + (int)numbers);
        var (heads, width) = (new AttentionHeads(Heads, KvHeads, window), Heads * kernels.Options.HeadDim);
        var geometry = new KvGeometry(1, KvHeads, kernels.Options.HeadDim, BlockTokens, kernels.Options.KvFormat);
        var blocks = geometry.BlocksFor(context);
        using var room = new Room(device, stream);
        var layer = new GpuKvLayer(room.Upload(Arena(random, geometry, blocks, numbers)), geometry, 0);
        var queries = room.Upload(Queries(random, kernels.Options, context * width, numbers));
        var table = room.Upload(Enumerable.Range(0, blocks).OrderBy(_ => random.Next()).ToArray());
        var first = context - Rows;

        ushort[] Chunk(bool wgmma)
        {
            var usual = kernels.UsesWgmma;
            kernels.UsesWgmma = wgmma;
            try
            {
                int[] work =
                [
                    .. Enumerable.Range(0, LinearPlan.CeilDiv(Rows * heads.Group, kernels.PrefillQueries))
                        .SelectMany(i => new[] { first, first, Rows, 0, i * kernels.PrefillQueries }),
                ];
                var items = work.Length / CudaKernels.PrefillItemInts;
                var output = room.Upload(new ushort[context * width]);
                kernels.AttendPrefill(
                    stream, queries, width, heads, layer, table, room.Upload(work), room.Upload(items), items, output,
                    width);
                return room.Download(output, context * width);
            }
            finally
            {
                kernels.UsesWgmma = usual;
            }
        }

        var expected = Chunk(wgmma: false);
        var what = $"{context} positions, {(window is null ? "no window" : $"window {window}")}, {numbers}";
        if (Difference(Chunk(wgmma: true), expected, first * width, width) is { } row)
            return $"its bits are not those of mma.sync ({what}, position {row})";

        int[] decodes = [.. Enumerable.Range(context - DecodedRows, DecodedRows).SelectMany(i => new[] { i, i, 0 })];
        var partitions = LinearPlan.CeilDiv(context, CudaKernels.PartitionTokens);
        var partial = (int)kernels.PartialFloats(DecodedRows, Heads, partitions);
        var decoded = room.Upload(new ushort[context * width]);
        kernels.AttendDecode(
            stream, queries, width, heads, layer, table, room.Upload(decodes), room.Upload(DecodedRows), DecodedRows,
            decoded, width, room.Upload(new float[Math.Max(1, partial)]), partitions);
        return Difference(
            room.Download(decoded, context * width), expected, (context - DecodedRows) * width, width) is { } other
            ? $"decode and prefill have other bits ({what}, position {other})" : null;
    }

    private static int? Difference(ushort[] actual, ushort[] expected, int from, int width)
    {
        var equal = actual.AsSpan(from).CommonPrefixLength(expected.AsSpan(from));
        return from + equal < expected.Length ? (from + equal) / width : null;
    }

    private static ushort[] Queries(Random random, KernelOptions options, int count, Numbers numbers)
    {
        var (queries, previous) = (new ushort[count], 0f);
        for (var i = 0; i < count; i++)
        {
            // Equal in a pair of dimensions, so that keys of opposite signs cancel.
            var value = numbers switch
            {
                Numbers.ValuesCancel => 0,
                Numbers.ScoresCancel when i % 2 == 1 => previous,
                Numbers.ScoresCancel => Signed(random, 16),
                _ => Signed(random, 3),
            };
            previous = value;
            queries[i] = ToElement(value, options.Format);
        }

        return queries;
    }

    private static byte[] Arena(Random random, in KvGeometry geometry, int blocks, Numbers numbers)
    {
        var arena = new byte[blocks * geometry.BlockBytes];
        fixed (byte* start = arena)
        {
            var vector = stackalloc float[geometry.HeadDim];
            for (var block = 0; block < blocks; block++)
            {
                for (var head = 0; head < geometry.KvHeads; head++)
                {
                    var values = new float[geometry.HeadDim];
                    for (var slot = 0; slot < geometry.BlockTokens; slot++)
                    {
                        var plane = start + ((long)block * geometry.BlockBytes);
                        Fill(vector, geometry.HeadDim, random, numbers == Numbers.ScoresCancel);
                        KvPlane.Write(plane, geometry, isValue: false, head, slot, new(vector, geometry.HeadDim));
                        NextValues(values, slot, random, numbers == Numbers.ValuesCancel);
                        KvPlane.Write(plane + geometry.PlaneBytes, geometry, isValue: true, head, slot, values);
                    }
                }
            }
        }

        return arena;
    }

    /// <summary>A key; where it cancels, pairs of dimensions are opposite, but for every fourth pair, which is
    /// small.</summary>
    private static void Fill(float* vector, int count, Random random, bool cancels)
    {
        for (var i = 0; i < count; i++)
        {
            vector[i] = !cancels ? Signed(random, 2)
                : i % 8 > 5 ? Signed(random, 1f / 8)
                : i % 2 == 1 ? -vector[i - 1]
                : Signed(random, 256);
        }
    }

    /// <summary>The next position's values; where they cancel, those of odd positions are opposite to the ones before,
    /// but for the last two of eight, which are small.</summary>
    private static void NextValues(float[] values, int slot, Random random, bool cancels)
    {
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = !cancels ? Signed(random, 1)
                : slot % 8 > 5 ? Signed(random, 1f / 1024)
                : slot % 2 == 1 ? -values[i]
                : Signed(random, 256);
        }
    }

    private static float Signed(Random random, float scale) => (float)((random.NextDouble() * 2) - 1) * scale;

    private static ushort ToElement(float value, KvFormat format) =>
        format == KvFormat.F16 ? BitConverter.HalfToUInt16Bits((Half)value) : KvNumber.ToBrain(value);

    /// <summary>Device memory of one trial.</summary>
    private sealed class Room(CudaDevice device, CudaStream stream) : IDisposable
    {
        private readonly List<DeviceMemory> _owned = [];

        public nint Upload<T>(params T[] values)
            where T : unmanaged
        {
            var bytes = values.Length * (long)sizeof(T);
            var memory = device.Allocate(bytes, "the trial of wgmma");
            _owned.Add(memory);
            fixed (T* source = values)
            {
                stream.CopyToDevice(memory.Address, source, bytes);
                stream.Synchronize("the trial of wgmma");
            }

            return memory.Address;
        }

        public ushort[] Download(nint address, int count)
        {
            var values = new ushort[count];
            fixed (ushort* target = values)
            {
                stream.CopyToHost(target, address, count * sizeof(ushort));
                stream.Synchronize("the trial of wgmma");
            }

            return values;
        }

        public void Dispose()
        {
            foreach (var memory in _owned) memory.Dispose();
        }
    }
}
