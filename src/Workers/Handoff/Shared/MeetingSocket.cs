using System.Buffers;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>
/// Where peers of this host fetch the descriptors of memory that a greeting offers: a Unix socket in a folder that both
/// see. It takes no common process namespace, so two containers or pods that share a folder of the host can meet. Who
/// says the nonce, which only greetings have, gets the files. The file's rights keep other users out.
/// </summary>
internal sealed class MeetingSocket : IDisposable
{
    /// <summary>Longest that a peer may take to say the nonce, and a holder to answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private const string Prefix = "krewe-kv-";
    private const string Suffix = ".sock";
    private const string EarlySuffix = ".new";

    /// <summary>Older, a socket that does not listen yet is that of a worker which died there.</summary>
    private static readonly TimeSpan EarlyMax = TimeSpan.FromMinutes(1);

    /// <summary>Before the next try when a peer could not be let in: without descriptors each fails at once.</summary>
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    private readonly Socket _socket;
    private readonly byte[] _nonce;
    private readonly SafeFileHandle[] _files;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _ended = new();

    private MeetingSocket(Socket socket, string path, byte[] nonce, SafeFileHandle[] files, TimeProvider time)
    {
        (_socket, Path, _nonce, _files, _time) = (socket, path, nonce, files, time);
        // Elsewhere: while it fails at once it would not come back to the constructor.
        _ = Task.Run(AcceptAsync);
    }

    /// <summary>The socket's place, as this process sees it.</summary>
    public string Path { get; }

    /// <summary>Where sockets are when no option names a folder.</summary>
    public static string UsualFolder => System.IO.Path.GetTempPath();

    /// <summary>Opens the meeting; removes sockets that workers left which died.</summary>
    /// <param name="files">The memory's files, the first of which begins with <paramref name="nonce"/>.</param>
    /// <exception cref="IOException">There can be no socket in the folder.</exception>
    public static MeetingSocket Open(string folder, byte[] nonce, SafeFileHandle[] files, TimeProvider time)
    {
        folder = System.IO.Path.GetFullPath(folder);
        // Not of the nonce's digits: everybody may list the folder.
        var name = Prefix + RandomNumberGenerator.GetHexString(16, lowercase: true) + Suffix;
        var path = System.IO.Path.Combine(folder, name);
        // Under its own name only when it listens: a neighbour that sweeps would take it for a dead one's.
        var early = path + EarlySuffix;
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            Sweep(folder, time);
            socket.Bind(new UnixDomainSocketEndPoint(early));
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(early, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen();
            // Overwriting is renaming; otherwise it is linking, which not every folder can, and then copying.
            File.Move(early, path, overwrite: true);
            return new MeetingSocket(socket, path, nonce, files, time);
        }
        catch (Exception e) when (e is SocketException or ArgumentException or IOException
            or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            socket.Dispose();
            TryDelete(early);
            throw new IOException($"no socket can be made in {folder}: {e.Message}", e);
        }
    }

    /// <summary>Whether a file name is a meeting's: a peer connects to nothing else, whatever it is greeted with.
    /// </summary>
    public static bool IsName(string name) =>
        name.Length == Prefix.Length + 16 + Suffix.Length
        && name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Suffix, StringComparison.Ordinal)
        && name.AsSpan(Prefix.Length, 16).IndexOfAnyExcept(Digits) < 0;

    public void Dispose()
    {
        _ended.Cancel();
        _socket.Dispose();
        TryDelete(Path);
    }

    private static void Sweep(string folder, TimeProvider time)
    {
        foreach (var path in Directory.EnumerateFileSystemEntries(folder, Prefix + "*" + Suffix))
        {
            if (!IsName(System.IO.Path.GetFileName(path))) continue;
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            // Anybody can put a socket there whose queue is full: then a blocking connect never returns.
            socket.Blocking = false;
            try
            {
                socket.Connect(new UnixDomainSocketEndPoint(path));
            }
            catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
            {
                TryDelete(path);
            }
            catch (SocketException)
            {
                // Somebody else's, alive and busy, or gone meanwhile.
            }
        }

        foreach (var path in Directory.EnumerateFileSystemEntries(folder, Prefix + "*" + Suffix + EarlySuffix))
        {
            if (IsName(System.IO.Path.GetFileNameWithoutExtension(path))
                && time.GetUtcNow() - File.GetLastWriteTimeUtc(path) > EarlyMax)
            {
                TryDelete(path);
            }
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next worker sweeps it.
        }
    }

    private async Task AcceptAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            try
            {
                _ = AnswerAsync(await _socket.AcceptAsync(_ended.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // A peer that went while it was let in, or no descriptor for it.
                await Task.Delay(AcceptPause, _time, _ended.Token)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task AnswerAsync(Socket peer)
    {
        using var limit = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _ended.Token);
        try
        {
            var said = new byte[_nonce.Length];
            await using var stream = new NetworkStream(peer, ownsSocket: true);
            await stream.ReadExactlyAsync(said, either.Token);
            if (said.AsSpan().SequenceEqual(_nonce)) SocketVector.SendFiles(peer.SafeHandle, _files);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The peer's side says what became of it.
        }
    }
}
