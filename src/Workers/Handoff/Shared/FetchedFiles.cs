using System.Net.Sockets;
using System.Runtime.InteropServices;
using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>What a peer fetched at a holder's <see cref="MeetingSocket"/>: open files of this process.</summary>
internal sealed partial class FetchedFiles : IDisposable
{
    /// <summary>SOL_SOCKET, SO_PEERCRED, and where struct ucred has the user.</summary>
    private const int SocketLevel = 1;

    private const int PeerCredentials = 17;
    private const int UserOffset = 4;

    private readonly SafeFileHandle[] _files;

    private FetchedFiles(SafeFileHandle[] files) => _files = files;

    /// <summary>Nonce and fences, and the data where that is the host's.</summary>
    public SafeFileHandle Head => _files[0];

    /// <summary>GPU memory, in the offer's order.</summary>
    public ReadOnlySpan<SafeFileHandle> Devices => _files.AsSpan(1);

    /// <summary>Null with the reason when this process does not come to the holder's socket.</summary>
    /// <param name="folder">Where this process sees the folder that both share.</param>
    /// <param name="patience">For how long the holder's answer is waited for, in all; null: the usual time.</param>
    public static FetchedFiles? TryFetch(
        SharedOffer offer, string folder, out string reason, TimeSpan? patience = null)
    {
        reason = "";
        if (offer.Meeting.Length == 0)
        {
            reason = "its files are handed out nowhere";
            return null;
        }

        var name = Path.GetFileName(offer.Meeting);
        if (!MeetingSocket.IsName(name))
        {
            reason = $"'{name}' is no name of a meeting";
            return null;
        }

        // Where the folder is mounted here; where it is mounted there; and there, seen through the process's root.
        var reasons = new List<string>();
        foreach (var path in new[]
        {
            Path.Combine(folder, name), offer.Meeting, $"/proc/{offer.Pid}/root{offer.Meeting}",
        }.Distinct())
        {
            if (TryFetch(path, offer, patience ?? MeetingSocket.Patience, out reason, out var hangs) is { } files)
                return files;
            reasons.Add(reason);
            // Only the answer is waited for, and the other paths lead to the same holder: it gets no second wait.
            if (hangs) break;
        }

        reason = string.Join("; ", reasons);
        return null;
    }

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    /// <summary>Whether the process that listens there is this user's: nobody else is told a nonce.</summary>
    internal static bool IsOfUser(Socket socket, uint user)
    {
        Span<byte> credentials = stackalloc byte[12];
        return socket.GetRawSocketOption(SocketLevel, PeerCredentials, credentials) == credentials.Length
            && MemoryMarshal.Read<uint>(credentials[UserOffset..]) == user;
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint EffectiveUser();

    private static FetchedFiles? TryFetch(
        string path, SharedOffer offer, TimeSpan patience, out string reason, out bool hangs)
    {
        (reason, hangs) = ("", false);
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            // Where the holder's queue is full a blocking connect would wait for as long as the holder hangs.
            socket.Blocking = false;
            socket.Connect(new UnixDomainSocketEndPoint(path));
            // Root too: what another user's process hands out is not to be computed with.
            if (!IsOfUser(socket, EffectiveUser()))
            {
                reason = $"{path}: it is another user's";
                return null;
            }

            socket.Send(offer.Nonce.Span);
            if (!socket.Poll(patience, SelectMode.SelectRead))
            {
                (reason, hangs) = ($"{path}: no answer in {patience.TotalSeconds} s", true);
                return null;
            }

            var files = SocketVector.ReceiveFiles(socket.SafeHandle);
            if (files.Length == 1 + offer.Devices.Count(device => device.IpcHandle.IsEmpty))
                return new FetchedFiles(files);
            foreach (var file in files) file.Dispose();
            reason = $"{path}: {files.Length} files came";
        }
        catch (Exception e) when (e is SocketException or IOException or ArgumentException)
        {
            reason = $"{path}: {e.Message}";
        }

        return null;
    }
}
