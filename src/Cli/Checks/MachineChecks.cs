using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Krewe.KvStore;
using Krewe.KvStore.Devices;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>The checks of <c>krewe doctor</c>. Each looks at one thing and changes nothing.</summary>
internal static class MachineChecks
{
    private const long SmallMemoryBytes = 2L << 30;
    private const long SmallDiskBytes = 1L << 30;

    public static CheckResult Runtime()
    {
        var version = Environment.Version;
        return version.Major >= 10
            ? new CheckResult(".NET", CheckLevel.Ok, RuntimeInformation.FrameworkDescription)
            : new CheckResult(
                ".NET", CheckLevel.Fail, $"{RuntimeInformation.FrameworkDescription}", "Install the .NET 10 SDK.");
    }

    public static CheckResult Processor()
    {
        var cores = $"{Environment.ProcessorCount} cores, {RuntimeInformation.ProcessArchitecture}";
        var advice = "The CPU kernels will be slow here; use a machine with AVX2 and FMA or better.";
        if (Vector512.IsHardwareAccelerated) return new CheckResult("CPU", CheckLevel.Ok, $"{cores}, 512-bit vectors");
        if (Vector256.IsHardwareAccelerated && Fma.IsSupported)
            return new CheckResult("CPU", CheckLevel.Ok, $"{cores}, 256-bit vectors with FMA");
        return Vector128.IsHardwareAccelerated
            ? new CheckResult("CPU", CheckLevel.Warn, $"{cores}, 128-bit vectors", advice)
            : new CheckResult("CPU", CheckLevel.Warn, $"{cores}, no vectors", advice);
    }

    public static CheckResult Memory()
    {
        var bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var found = $"{ByteSize.Format(bytes)} for this process";
        return bytes >= SmallMemoryBytes
            ? new CheckResult("memory", CheckLevel.Ok, found)
            : new CheckResult("memory", CheckLevel.Warn, found, "Lower --kv-memory, or raise the container's limit.");
    }

    public static CheckResult Port(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port) { ExclusiveAddressUse = true };
            listener.Start();
            return new CheckResult("port", CheckLevel.Ok, $"{port} is free");
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return new CheckResult(
                "port", CheckLevel.Warn, $"{port} is in use", "Stop the program that holds it, or serve with --port.");
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AccessDenied)
        {
            return new CheckResult(
                "port", CheckLevel.Warn, $"{port} is not allowed for this user", "Serve with a --port above 1023.");
        }
    }

    public static CheckResult Disk(string folder)
    {
        var drive = new DriveInfo(Path.GetFullPath(folder));
        var found = $"{ByteSize.Format(drive.AvailableFreeSpace)} free at {Path.GetFullPath(folder)}";
        return drive.AvailableFreeSpace >= SmallDiskBytes
            ? new CheckResult("disk", CheckLevel.Ok, found)
            : new CheckResult("disk", CheckLevel.Warn, found, "Free some space, or name another folder with --data.");
    }

    /// <summary>The folders of <c>--kv-disk</c>: writable, large enough, and how they will be used.</summary>
    public static async Task<CheckResult> KvDiskAsync(IReadOnlyList<string> folders, long bytes)
    {
        var what = string.Join(", ", folders);
        try
        {
            foreach (var folder in folders) Directory.CreateDirectory(folder);
            await using var device = await BlockDevice.OpenAsync(new BlockDeviceOptions(), folders);
            var free = folders.Min(folder => new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace);
            if (free < bytes / folders.Count)
            {
                return new CheckResult(
                    "KV disk", CheckLevel.Fail, $"{ByteSize.Format(free)} free in {what}",
                    $"Each worker reserves {ByteSize.Format(bytes)}: lower --kv-disk-bytes or free some space.");
            }

            var found = $"{what}: {ByteSize.Format(free)} free, {device.Description}";
            return device.Description.StartsWith("io_uring", StringComparison.Ordinal)
                ? new CheckResult("KV disk", CheckLevel.Ok, found)
                : new CheckResult(
                    "KV disk", CheckLevel.Warn, found,
                    "KV objects work, but slower; allow io_uring (containers: seccomp) on a disk with direct I/O.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or KvStoreException)
        {
            return new CheckResult("KV disk", CheckLevel.Fail, e.Message, "Name folders that this user can write to.");
        }
    }

    public static CheckResult Model(string? folder)
    {
        try
        {
            folder ??= BundledModel.Find();
            using var model = ModelFolder.Open(folder);
            return new CheckResult("model", CheckLevel.Ok, $"{model.Name} ({model.Config.Architecture}) in {folder}");
        }
        catch (Exception e) when (e is ModelException or Abstractions.KreweException)
        {
            return new CheckResult("model", CheckLevel.Fail, e.Message, "Name a whole model folder with --model.");
        }
    }
}
