using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Kernels.Cuda;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>
/// The other process of the check of handoffs: memory of GPUs with known content, offered as a worker offers its own
/// until the input ends. Several GPUs have a share of each plane, as ranks do.
/// </summary>
public static unsafe class GpuHolder
{
    /// <summary>Bytes of K or V of one layer in one block: 8 heads, 16 tokens, 128 numbers of BF16.</summary>
    internal const int PlaneBytes = 8 * 16 * 128 * 2;

    private const int TileBytes = 1 << 20;

    /// <summary>Says the offer in one line, in Base64.</summary>
    /// <param name="options">The GPUs, and how their memory is made: virtual, else plainly.</param>
    /// <param name="bytes">On all of them together.</param>
    /// <exception cref="CudaException">A GPU or library is missing, or memory cannot be exported.</exception>
    /// <exception cref="IOException">Nobody could meet this process.</exception>
    public static void Run(CudaOptions options, long bytes, TextReader input, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(output);
        var isVirtual = options.KvMemory == CudaKvMemory.Virtual;
        var (ranks, owned) = (options.Devices.Count, new Stack<IDisposable>());
        try
        {
            var driver = CudaDriver.Load(CudaModelRunner.LibrariesOf(options));
            using var shared = SharedMemory.TryCreate(0)
                ?? throw new CudaException("This system shares no memory between processes.");
            var offer = new SharedOffer
            {
                Pid = (uint)Environment.ProcessId,
                File = (uint)shared.Descriptor,
                Nonce = ByteString.CopyFrom(shared.Nonce),
                TotalBytes = (ulong)shared.TotalBytes,
            };
            var files = new List<SafeFileHandle> { new(shared.Descriptor, ownsHandle: false) };
            for (var rank = 0; rank < ranks; rank++)
            {
                var device = Own(driver.Open(options.Devices[rank]));
                var memory = Own(isVirtual
                    ? device.AllocateVirtual(bytes / ranks, "gpucheck")
                    : device.Allocate(bytes / ranks, "gpucheck"));
                Fill(device, memory, rank, ranks);
                var part = new DevicePart
                {
                    Bytes = (ulong)memory.Bytes,
                    WholeBytes = (ulong)memory.WholeBytes,
                    Gpu = device.Info.Uuid,
                };
                if (isVirtual) files.Add(Own(device.ExportFile(memory)));
                else part.IpcHandle = ByteString.CopyFrom(device.Export(memory));
                offer.Devices.Add(part);
            }

            using var meeting = isVirtual
                ? MeetingSocket.Open(MeetingSocket.UsualFolder, shared.Nonce, [.. files], TimeProvider.System)
                : null;
            offer.Meeting = meeting?.Path ?? "";
            output.WriteLine(Convert.ToBase64String(offer.ToByteArray()));
            output.Flush();
            input.ReadLine();
        }
        finally
        {
            while (owned.TryPop(out var one)) one.Dispose();
        }

        T Own<T>(T one)
            where T : IDisposable
        {
            owned.Push(one);
            return one;
        }
    }

    /// <summary>What whole blocks hold from <paramref name="at"/> on.</summary>
    internal static bool Holds(ReadOnlySpan<byte> bytes, long at)
    {
        var tile = Tile();
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != tile[(at + i) % TileBytes]) return false;
        }

        return true;
    }

    /// <summary>The rank's run of each plane, one after the other.</summary>
    private static void Fill(CudaDevice device, DeviceMemory memory, int rank, int ranks)
    {
        var (tile, run) = (Tile(), PlaneBytes / ranks);
        // A tile is a whole number of planes, so the rank's bytes of it come again and again.
        var own = new byte[TileBytes / ranks];
        for (var plane = 0; plane < TileBytes / PlaneBytes; plane++)
            tile.AsSpan((plane * PlaneBytes) + (rank * run), run).CopyTo(own.AsSpan(plane * run));
        using var stream = device.CreateStream();
        fixed (byte* source = own)
        {
            for (var at = 0L; at < memory.Bytes; at += own.Length)
            {
                var length = Math.Min(own.Length, memory.Bytes - at);
                stream.CopyToDevice(memory.At(at, length), source, length);
            }

            stream.Synchronize();
        }
    }

    private static byte[] Tile()
    {
        var tile = new byte[TileBytes];
        new Random(7).NextBytes(tile);
        return tile;
    }
}
