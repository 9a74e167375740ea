using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>What a peer fetched at a holder's <see cref="MeetingSocket"/>: open files of this process.</summary>
internal sealed class FetchedFiles : IDisposable
{
    private readonly SafeFileHandle[] _files;

    private FetchedFiles(SafeFileHandle[] files) => _files = files;

    /// <summary>Nonce and fences, and the data where that is the host's.</summary>
    public SafeFileHandle Head => _files[0];

    /// <summary>GPU memory, in the offer's order.</summary>
    public ReadOnlySpan<SafeFileHandle> Devices => _files.AsSpan(1);

    /// <summary>Null with the reason when this process does not come to the holder's socket.</summary>
    /// <param name="folder">Where this process sees the folder that both share.</param>
    public static FetchedFiles? TryFetch(SharedOffer offer, string folder, out string reason)
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
            if (TryFetch(path, offer, out reason) is { } files) return files;
            reasons.Add(reason);
        }

        reason = string.Join("; ", reasons);
        return null;
    }

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    private static FetchedFiles? TryFetch(string path, SharedOffer offer, out string reason)
    {
        reason = "";
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.Send(offer.Nonce.Span);
            if (!socket.Poll(MeetingSocket.Patience, SelectMode.SelectRead))
            {
                reason = $"{path}: no answer in {MeetingSocket.Patience.TotalSeconds} s";
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
