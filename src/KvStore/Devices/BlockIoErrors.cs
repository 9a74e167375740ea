using System.Runtime.InteropServices;

namespace Krewe.KvStore.Devices;

/// <summary>Turns the operating system's error numbers into faults.</summary>
internal static class BlockIoErrors
{
    public static BlockIoException FromErrno(int errno, string what)
    {
        var fault = errno switch
        {
            NativeMethods.NoSpace or NativeMethods.QuotaExceeded or NativeMethods.FileTooBig => BlockIoFault.DiskFull,
            NativeMethods.AccessDenied or NativeMethods.ReadOnlyFileSystem or 1 => BlockIoFault.AccessDenied,
            _ => BlockIoFault.Hardware,
        };
        return new BlockIoException(fault, $"{what}: {Marshal.GetPInvokeErrorMessage(errno)} (error {errno}).");
    }

    public static BlockIoException Truncated(string path, long offset, int wanted, int got) => new(
        BlockIoFault.Truncated,
        $"'{path}' gave {got:N0} of {wanted:N0} bytes at offset {offset:N0}: the file was cut short.");
}
