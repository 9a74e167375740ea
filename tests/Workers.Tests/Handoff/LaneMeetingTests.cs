using System.Net.Sockets;
using Krewe.Control.Links;

namespace Krewe.Workers.Tests;

public sealed class LaneMeetingTests
{
    private readonly LaneMeetings _meetings = new();

    [Fact]
    public async Task Connections_come_in_any_order_before_and_after_they_are_wanted()
    {
        using var meeting = _meetings.Open(connectionsMax: 4);
        var (first, second) = (Connection(), Connection());
        _meetings.Join(meeting.Link, 2, second);
        var gathering = meeting.GatherAsync(2, CancellationToken.None);
        Assert.False(gathering.IsCompleted);
        _meetings.Join(meeting.Link, 1, first);
        Assert.Equal([first, second], await gathering.WaitAsync(TimeSpan.FromMinutes(2)));
    }

    [Fact]
    public async Task A_link_of_one_connection_waits_for_none()
    {
        using var meeting = _meetings.Open(connectionsMax: 1);
        Assert.Empty(await meeting.GatherAsync(0, CancellationToken.None));
        Assert.Empty(await meeting.GatherAsync(-1, CancellationToken.None)); // a peer that knows of no connections
    }

    [Fact]
    public void What_belongs_to_no_link_is_refused()
    {
        var meeting = _meetings.Open(connectionsMax: 2);
        Assert.Throws<FrameException>(() => _meetings.Join(meeting.Link + 2, 1, Connection()));
        Assert.Throws<FrameException>(() => _meetings.Join(meeting.Link, 0, Connection()));
        Assert.Throws<FrameException>(() => _meetings.Join(meeting.Link, 2, Connection()));
        _meetings.Join(meeting.Link, 1, Connection());
        Assert.Throws<FrameException>(() => _meetings.Join(meeting.Link, 1, Connection()));
        meeting.Dispose();
        Assert.Throws<FrameException>(() => _meetings.Join(meeting.Link, 1, Connection()));
    }

    [Fact]
    public async Task A_connection_that_came_in_vain_is_closed()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        var meeting = _meetings.Open(connectionsMax: 3);
        _meetings.Join(meeting.Link, 1, new FrameSocket(socket));
        using var given = new CancellationTokenSource();
        var gathering = meeting.GatherAsync(2, given.Token);
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gathering);
        meeting.Dispose();
        Assert.True(socket.SafeHandle.IsClosed);
    }

    private static FrameSocket Connection() => new(new Socket(SocketType.Stream, ProtocolType.Tcp));
}
