using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>Open files from process to process (SCM_RIGHTS), for which the runtime's sockets have no call.</summary>
internal static unsafe partial class SocketVector
{
    /// <summary>Files of one message; the kernel's own limit is 253.</summary>
    public const int FilesMax = 64;

    /// <summary>SOL_SOCKET and SCM_RIGHTS.</summary>
    private const int SocketLevel = 1;

    private const int Rights = 1;

    /// <summary>MSG_CMSG_CLOEXEC: a child of this process inherits none of them.</summary>
    private const int CloseOnExec = 0x40000000;

    /// <summary>MSG_CTRUNC: there were more files than room, and the kernel closed them.</summary>
    private const int Truncated = 0x8;

    /// <summary>Sends the files with one byte, over a Unix socket that has room for it.</summary>
    /// <exception cref="IOException">The link broke.</exception>
    public static void SendFiles(SafeSocketHandle socket, ReadOnlySpan<SafeFileHandle> files)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(files.Length, FilesMax);
        var (one, control, held) = ((byte)0, default(ControlBuffer), 0);
        control.Length = (nuint)(ControlBuffer.HeadBytes + (files.Length * sizeof(int)));
        (control.Level, control.Type) = (SocketLevel, Rights);
        try
        {
            for (; held < files.Length; held++)
            {
                var added = false;
                files[held].DangerousAddRef(ref added);
                control.Files[held] = (int)files[held].DangerousGetHandle();
            }

            var vector = new IoVector { Start = &one, Length = 1 };
            var message = new MessageHeader
            {
                Vectors = &vector,
                VectorCount = 1,
                Control = &control,
                ControlLength = (nuint)ControlBuffer.Space(files.Length),
            };
            if (SendMessage(socket, &message, DoNotWait | NoSignal) == 1) return;
            throw new IOException(
                $"Files could not be sent: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }
        finally
        {
            while (held > 0) files[--held].DangerousRelease();
        }
    }

    /// <summary>The files of one message that has arrived, which are the caller's; none at the end of the stream.
    /// </summary>
    /// <exception cref="IOException">The link broke, or brought something else.</exception>
    public static SafeFileHandle[] ReceiveFiles(SafeSocketHandle socket)
    {
        var (one, control) = ((byte)0, default(ControlBuffer));
        var vector = new IoVector { Start = &one, Length = 1 };
        var message = new MessageHeader
        {
            Vectors = &vector,
            VectorCount = 1,
            Control = &control,
            ControlLength = (nuint)sizeof(ControlBuffer),
        };
        var moved = ReceiveMessage(socket, &message, DoNotWait | CloseOnExec);
        if (moved < 0)
        {
            throw new IOException(
                $"No files came: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }

        var hasFiles = message.ControlLength >= ControlBuffer.HeadBytes
            && control is { Level: SocketLevel, Type: Rights, Length: >= ControlBuffer.HeadBytes };
        var files = new SafeFileHandle[hasFiles ? ((int)control.Length - ControlBuffer.HeadBytes) / sizeof(int) : 0];
        for (var i = 0; i < files.Length; i++) files[i] = new SafeFileHandle(control.Files[i], ownsHandle: true);
        if ((message.Flags & Truncated) == 0) return files;
        foreach (var file in files) file.Dispose();
        throw new IOException($"More than {FilesMax} files came.");
    }

    /// <summary>struct cmsghdr and what follows it, 64-bit.</summary>
    private struct ControlBuffer
    {
        public const int HeadBytes = 16;

        public nuint Length;
        public int Level;
        public int Type;
        public fixed int Files[FilesMax];

        /// <summary>CMSG_SPACE.</summary>
        public static int Space(int files) => HeadBytes + ((files * sizeof(int)) + 7 & ~7);
    }
}
