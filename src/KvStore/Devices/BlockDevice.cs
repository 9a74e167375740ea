using Krewe.KvStore.Devices.Uring;

namespace Krewe.KvStore.Devices;

/// <summary>Which way to the disk.</summary>
public enum IoPath
{
    /// <summary>io_uring with direct I/O where the kernel and the file system allow both, else RandomAccess.</summary>
    Auto,

    /// <summary>io_uring with direct I/O, or refuse to start.</summary>
    IoUring,

    /// <summary>System.IO.RandomAccess: a pool thread is held for each I/O.</summary>
    RandomAccess,
}

/// <summary>Settings of a device.</summary>
public sealed record BlockDeviceOptions
{
    public IoPath Path { get; init; } = IoPath.Auto;

    /// <summary>I/Os in flight, 1 to 4096.</summary>
    public int QueueDepth { get; init; } = 64;
}

/// <summary>Opens the best device that the machine allows.</summary>
public static class BlockDevice
{
    /// <summary>Chooses the path once, for all of <paramref name="directories"/>, which must exist.</summary>
    /// <exception cref="KvStoreException">io_uring was demanded and cannot be had.</exception>
    public static async ValueTask<IBlockDevice> OpenAsync(BlockDeviceOptions options, IReadOnlyList<string> directories)
    {
        if (options.QueueDepth is < 1 or > 4096)
        {
            throw new KvStoreException(
                KvStoreError.InvalidOptions, $"QueueDepth is {options.QueueDepth}; it must be 1 to 4096.");
        }

        if (options.Path == IoPath.RandomAccess)
            return new RandomAccessDevice(options.QueueDepth, "RandomAccess, as asked");

        var refusal = directories.Select(DirectFile.RefusalIn).FirstOrDefault(reason => reason is not null);
        if (refusal is null)
        {
            var (device, reason) = await UringDevice.TryStartAsync(options.QueueDepth);
            if (device is not null) return device;
            refusal = reason;
        }

        if (options.Path == IoPath.IoUring)
        {
            throw new KvStoreException(
                KvStoreError.DeviceUnavailable,
                $"io_uring with direct I/O was demanded, but {refusal}. Choose the path Auto or RandomAccess.");
        }

        return new RandomAccessDevice(options.QueueDepth, $"RandomAccess, because {refusal}");
    }
}
