using System.Reflection;
using Krewe.KvStore.Devices;
using Xunit.Sdk;

namespace Krewe.KvStore.Tests;

/// <summary>
/// The io_uring row of a theory over both I/O paths: skipped, with the reason, where the kernel refuses.
/// </summary>
internal sealed class IoUringDataAttribute : DataAttribute
{
    private static readonly string? Refusal = Probe();

    public IoUringDataAttribute()
    {
        if (Refusal is not null) Skip = Refusal;
    }

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[IoPath.IoUring]];

    private static string? Probe()
    {
        using var directory = new TemporaryDirectory();
        try
        {
            var options = new BlockDeviceOptions { Path = IoPath.IoUring };
            BlockDevice.OpenAsync(options, [directory.Path]).AsTask().GetAwaiter().GetResult()
                .DisposeAsync().AsTask().GetAwaiter().GetResult();
            return null;
        }
        catch (KvStoreException error)
        {
            return error.Message;
        }
    }
}
