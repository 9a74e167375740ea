using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers.Tests;

/// <summary>Memory of workers that do not see each other's processes: its files go over a socket in a folder.</summary>
public sealed class MeetingSocketTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("krewe-meet-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Workers_that_share_a_folder_and_no_processes_share_memory()
    {
        using var arena = new FakeArena(4, shared: true);
        using var holder = SharedHolder.Open(arena, _folder, PatientTime.Links)!;
        var offer = Foreign(holder.Offer(arena.Shared!.RaiseFence()!));
        using (var memories = new PeerMemories(TimeProvider.System, folder: _folder, patience: Limit))
        {
            using var hold = memories.TryHold(offer, out var reason);
            Assert.True(hold is not null, reason);
            arena[2].Span[5] = 9;
            Assert.Equal(9, hold.Memory.Slice((2 * arena.Geometry.BlockBytes) + 5, 1)[0]);
            Assert.True(hold.Memory.Stands((int)offer.FenceSlot, offer.FenceGeneration));
        }

        // Positive control: in another folder, and with a holder that opened none, there is no way.
        var elsewhere = Directory.CreateDirectory(Path.Combine(_folder, "elsewhere")).FullName;
        var moved = offer.Clone();
        moved.Meeting = Path.Combine("/nowhere", Path.GetFileName(offer.Meeting));
        using var lost = new PeerMemories(TimeProvider.System, folder: elsewhere, patience: Limit);
        Assert.Null(lost.TryHold(moved, out var why));
        Assert.Contains("cannot be opened; ", why, StringComparison.Ordinal);
        Assert.Contains(elsewhere, why, StringComparison.Ordinal);
        using var none = SharedHolder.Open(arena, folder: null, TimeProvider.System)!;
        using var again = new PeerMemories(TimeProvider.System, folder: elsewhere, patience: Limit);
        Assert.Null(again.TryHold(Foreign(none.Offer(arena.Shared!.RaiseFence()!)), out why));
        Assert.Contains("handed out nowhere", why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_does_not_know_the_nonce_gets_nothing()
    {
        using var arena = new FakeArena(1, shared: true);
        using var holder = SharedHolder.Open(arena, _folder, PatientTime.Links)!;
        var offer = holder.Offer(arena.Shared!.RaiseFence()!);
        var stranger = offer.Clone();
        stranger.Nonce = ByteString.CopyFrom(new byte[16]);
        Assert.Null(FetchedFiles.TryFetch(stranger, _folder, out var reason, Limit));
        Assert.Contains("0 files came", reason, StringComparison.Ordinal);
        // One who says nothing is not waited for by others.
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await silent.ConnectAsync(new UnixDomainSocketEndPoint(offer.Meeting));
        using var files = FetchedFiles.TryFetch(offer, _folder, out reason, Limit);
        Assert.True(files is not null, reason);
        if (OperatingSystem.IsWindows()) return;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(offer.Meeting));
    }

    [Fact]
    public async Task A_holder_that_hangs_holds_up_nobody_elses_links()
    {
        using var arena = new FakeArena(1, shared: true);
        using var holder = SharedHolder.Open(arena, _folder, PatientTime.Links)!;
        // After the other's start, which would knock here.
        using var hung = Planted("krewe-kv-00000000000000aa.sock", backlog: 8);
        // It is waited for until the test ends it, however slow the machine is.
        using var memories = new PeerMemories(
            TimeProvider.System, folder: _folder, patience: TimeSpan.FromMinutes(10));
        var waiting = Task.Run(() => memories.TryHold(Silent(), out _));
        var second = Task.Run(() => memories.TryHold(Silent(), out _));
        using (await hung.AcceptAsync().WaitAsync(Limit))
        {
            var offer = Foreign(holder.Offer(arena.Shared!.RaiseFence()!));
            using var hold = await Task.Run(() => memories.TryHold(offer, out _)).WaitAsync(Limit);
            Assert.NotNull(hold);
            Assert.False(waiting.IsCompleted);
            Assert.False(second.IsCompleted);
        }

        // The second link of the hung one heard what the first one did, and did not ask again.
        Assert.Null(await waiting.WaitAsync(Limit));
        Assert.Null(await second.WaitAsync(Limit));
        Assert.False(hung.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public async Task A_holder_that_refused_is_asked_again_after_a_while_only()
    {
        using var holder = Planted("krewe-kv-00000000000000aa.sock", backlog: 8);
        var time = new ManualTime();
        using var memories = new PeerMemories(time, folder: _folder, patience: Limit);
        Assert.Contains("0 files came", await RefusedAsync(), StringComparison.Ordinal);
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.Null(memories.TryHold(Silent(), out var reason));
        Assert.Contains("0 files came", reason, StringComparison.Ordinal);
        Assert.False(holder.Poll(0, SelectMode.SelectRead));
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Contains("0 files came", await RefusedAsync(), StringComparison.Ordinal);

        async Task<string> RefusedAsync()
        {
            var why = "";
            var asking = Task.Run(() => memories.TryHold(Silent(), out why));
            using (var peer = await holder.AcceptAsync().WaitAsync(Limit))
            {
                // All of it read: closed on unread bytes the peer would see a broken link.
                await peer.ReceiveAsync(new byte[16]).WaitAsync(Limit);
            }

            Assert.Null(await asking.WaitAsync(Limit));
            return why;
        }
    }

    [Fact]
    public async Task A_socket_whose_queue_is_full_is_waited_for_by_no_start_and_no_link()
    {
        using var full = Planted("krewe-kv-00000000000000aa.sock", backlog: 0);
        using var filling = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        filling.Connect(full.LocalEndPoint!);
        var reason = "";
        Assert.Null(await Task.Run(() => FetchedFiles.TryFetch(Silent(), _folder, out reason, Limit)).WaitAsync(Limit));
        Assert.Contains("temporarily unavailable", reason, StringComparison.Ordinal);
        using var memory = SharedMemory.TryCreate(0)!;
        using var started = await Task.Run(() => MeetingSocket.Open(_folder, memory.Nonce, [], TimeProvider.System))
            .WaitAsync(Limit);
        Assert.True(File.Exists(Path.Combine(_folder, "krewe-kv-00000000000000aa.sock")));
    }

    [Fact]
    public void Only_this_users_process_is_told_the_nonce()
    {
        using var listening = Planted("krewe-kv-00000000000000aa.sock", backlog: 8);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(listening.LocalEndPoint!);
        Assert.True(FetchedFiles.IsOfUser(socket, FetchedFiles.EffectiveUser()));
        Assert.False(FetchedFiles.IsOfUser(socket, FetchedFiles.EffectiveUser() + 1));
    }

    [Theory]
    [InlineData("/var/run/docker.sock")]
    [InlineData("krewe-kv-0123456789abcde.sock")]
    [InlineData("krewe-kv-0123456789abcdeX.sock")]
    [InlineData("/tmp/krewe-kv-0123456789abcdef.sock/../other")]
    public void A_peer_connects_to_nothing_that_is_no_meeting(string place)
    {
        var offer = new SharedOffer { Meeting = place };
        Assert.Null(FetchedFiles.TryFetch(offer, _folder, out var reason, Limit));
        Assert.Contains("is no name of a meeting", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_list_of_files_that_is_not_the_offers_is_closed_again()
    {
        using var memory = SharedMemory.TryCreate(0)!;
        using var head = new SafeFileHandle(memory.Descriptor, ownsHandle: false);
        using var meeting = MeetingSocket.Open(_folder, memory.Nonce, [head, head, head], PatientTime.Links);
        var offer = new SharedOffer { Meeting = meeting.Path, Nonce = ByteString.CopyFrom(memory.Nonce) };
        Assert.Null(FetchedFiles.TryFetch(offer, _folder, out var reason, Limit));
        Assert.Contains("3 files came", reason, StringComparison.Ordinal);
        offer.Devices.Add(new DevicePart());
        offer.Devices.Add(new DevicePart { IpcHandle = ByteString.CopyFrom(1) });
        offer.Devices.Add(new DevicePart());
        using var files = FetchedFiles.TryFetch(offer, _folder, out reason, Limit);
        Assert.Equal(2, files!.Devices.Length);
    }

    [Fact]
    public void Sockets_of_workers_that_died_are_swept_and_others_are_not()
    {
        var dead = Path.Combine(_folder, "krewe-kv-00000000000000aa.sock");
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(dead + ".new"));
            File.Move(dead + ".new", dead);
        }

        // Died before it listened, and one that is just being opened.
        var fallen = Path.Combine(_folder, "krewe-kv-00000000000000bb.sock.new");
        File.WriteAllText(fallen, "");
        File.SetLastWriteTimeUtc(fallen, TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(-2));
        var early = Path.Combine(_folder, "krewe-kv-00000000000000cc.sock.new");
        File.WriteAllText(early, "");
        var other = Path.Combine(_folder, "krewe-kv-notes.sock");
        File.WriteAllText(other, "");
        using var first = SharedMemory.TryCreate(0)!;
        using var second = SharedMemory.TryCreate(0)!;
        string path;
        using (var living = MeetingSocket.Open(_folder, first.Nonce, [], TimeProvider.System))
        {
            Assert.False(File.Exists(dead));
            Assert.False(File.Exists(fallen));
            using var late = MeetingSocket.Open(_folder, second.Nonce, [], TimeProvider.System);
            path = living.Path;
            Assert.True(File.Exists(path));
            Assert.True(File.Exists(other));
        }

        Assert.False(File.Exists(path));
        Assert.Equal([early, other], Directory.GetFiles(_folder).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_holders_file_is_its_own_when_the_memory_ends_first_and_its_name_shows_no_nonce()
    {
        var arena = new FakeArena(1, shared: true);
        using var holder = SharedHolder.Open(arena, _folder, PatientTime.Links)!;
        var offer = Foreign(holder.Offer(arena.Shared!.RaiseFence()!));
        var nonce = Convert.ToHexStringLower(offer.Nonce.Span[..8]);
        Assert.DoesNotContain(nonce, offer.Meeting, StringComparison.Ordinal);
        arena.Dispose();
        // Where the memory's number was another file is now, as a busy process would have it.
        using var another = File.OpenHandle("/dev/null");
        using var memories = new PeerMemories(TimeProvider.System, folder: _folder, patience: Limit);
        using var hold = memories.TryHold(offer, out var reason);
        Assert.True(hold is not null, reason);
    }

    [Fact]
    public void A_folder_that_cannot_be_used_is_named_and_the_option_too()
    {
        using var arena = new FakeArena(1, shared: true);
        var folder = Path.Combine(_folder, new string('n', 120));
        Directory.CreateDirectory(folder);
        using var transport = new TcpBlockTransport(
            arena, KvTransport.Auto, TimeProvider.System, logger: NullLogger.Instance, shareFolder: folder);
        var refused = Assert.Throws<KreweException>(() => transport.Listen("127.0.0.1", 0));
        Assert.Equal(ErrorCode.InvalidOptions, refused.Code);
        Assert.Contains(folder, refused.Message, StringComparison.Ordinal);
        Assert.Contains("--kv-share-folder", refused.Message, StringComparison.Ordinal);
    }

    private Socket Planted(string name, int backlog)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(_folder, name)));
        socket.Listen(backlog);
        return socket;
    }

    /// <summary>Of the holder that <see cref="Planted"/> stands for.</summary>
    private SharedOffer Silent() => Foreign(new SharedOffer
    {
        Nonce = ByteString.CopyFrom(new byte[16]),
        Meeting = Path.Combine(_folder, "krewe-kv-00000000000000aa.sock"),
    });

    /// <summary>As a worker of another process namespace reads it: the number means another process, or none.</summary>
    private static SharedOffer Foreign(SharedOffer offer)
    {
        offer.Pid = int.MaxValue;
        return offer;
    }
}
