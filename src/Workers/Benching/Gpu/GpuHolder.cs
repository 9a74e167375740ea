using System.Globalization;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>
/// The other process of the check by CUDA IPC: memory of a GPU with known content, offered until the input ends.
/// </summary>
public static unsafe class GpuHolder
{
    private const int TileBytes = 1 << 20;

    /// <summary>Says "HANDLE BYTES" in one line, the handle in hexadecimal.</summary>
    /// <exception cref="CudaException">A GPU or library is missing, or memory cannot be exported.</exception>
    public static void Run(CudaOptions options, long bytes, TextReader input, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(output);
        using var device = CudaDriver.Load(CudaModelRunner.LibrariesOf(options)).Open(options.Devices[^1]);
        using var stream = device.CreateStream();
        using var memory = device.Allocate(bytes, "gpucheck");
        var tile = Tile();
        fixed (byte* source = tile)
        {
            for (var at = 0L; at < bytes; at += TileBytes)
            {
                var length = Math.Min(TileBytes, bytes - at);
                stream.CopyToDevice(memory.At(at, length), source, length);
            }

            stream.Synchronize();
        }

        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{Convert.ToHexString(device.Export(memory))} {bytes}"));
        output.Flush();
        input.ReadLine();
    }

    /// <summary>What the memory holds from <paramref name="at"/> on.</summary>
    internal static bool Holds(ReadOnlySpan<byte> bytes, long at)
    {
        var tile = Tile();
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != tile[(at + i) % TileBytes]) return false;
        }

        return true;
    }

    private static byte[] Tile()
    {
        var tile = new byte[TileBytes];
        new Random(7).NextBytes(tile);
        return tile;
    }
}
