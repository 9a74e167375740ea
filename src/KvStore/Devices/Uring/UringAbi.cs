using System.Runtime.InteropServices;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>The kernel's io_uring interface: numbers and layouts of include/uapi/linux/io_uring.h.</summary>
internal static class UringAbi
{
    public const nint SetupCall = 425;
    public const nint EnterCall = 426;
    public const nint RegisterCall = 427;

    public const uint SetupClamp = 1u << 4;
    public const uint SetupSingleIssuer = 1u << 12;
    public const uint SetupDeferTaskRun = 1u << 13;
    public const uint FeatureSingleMap = 1u << 0;
    public const uint EnterGetEvents = 1u << 0;

    public const byte OpReadFixed = 4;
    public const byte OpWriteFixed = 5;
    public const byte OpFsync = 3;
    public const byte OpRead = 22;
    public const byte OpWrite = 23;
    public const byte FlagFixedFile = 1 << 0;
    public const uint FsyncDataOnly = 1u << 0;

    public const uint RegisterFiles = 2;
    public const uint RegisterFilesUpdate = 6;
    public const uint RegisterBuffers2 = 15;
    public const uint RegisterBuffersUpdate = 16;
    public const uint ResourceSparse = 1u << 0;

    public const long OffsetRings = 0;
    public const long OffsetEntries = 0x10000000;
}

[StructLayout(LayoutKind.Sequential)]
internal struct SubmissionRingOffsets
{
    public uint Head, Tail, RingMask, RingEntries, Flags, Dropped, Array, Reserved;
    public ulong UserAddress;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CompletionRingOffsets
{
    public uint Head, Tail, RingMask, RingEntries, Overflow, Entries, Flags, Reserved;
    public ulong UserAddress;
}

[StructLayout(LayoutKind.Sequential)]
internal struct UringParameters
{
    public uint SubmissionEntries, CompletionEntries, Flags, ThreadCpu, ThreadIdle, Features, WorkQueue;
    public uint Reserved0, Reserved1, Reserved2;
    public SubmissionRingOffsets Submission;
    public CompletionRingOffsets Completion;
}

[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct SubmissionEntry
{
    [FieldOffset(0)] public byte Operation;
    [FieldOffset(1)] public byte Flags;
    [FieldOffset(4)] public int File;
    [FieldOffset(8)] public ulong Offset;
    [FieldOffset(16)] public ulong Address;
    [FieldOffset(24)] public uint Length;
    [FieldOffset(28)] public uint OperationFlags;
    [FieldOffset(32)] public ulong UserData;
    [FieldOffset(40)] public ushort BufferIndex;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CompletionEntry
{
    public ulong UserData;
    public int Result;
    public uint Flags;
}

/// <summary>Argument of RegisterFilesUpdate.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FilesUpdate
{
    public uint Offset, Reserved;
    public ulong Descriptors;
}

/// <summary>Argument of RegisterBuffers2.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceRegister
{
    public uint Count, Flags;
    public ulong Reserved, Data, Tags;
}

/// <summary>Argument of RegisterBuffersUpdate.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceUpdate
{
    public uint Offset, Reserved;
    public ulong Data, Tags;
    public uint Count, Reserved2;
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoVector
{
    public nint Address;
    public nuint Length;
}
