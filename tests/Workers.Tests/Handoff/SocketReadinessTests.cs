using System.Net;
using System.Net.Sockets;

namespace Krewe.Workers.Tests;

/// <summary>Waits that are longer than what a send or receive waits by itself.</summary>
public sealed class SocketReadinessTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly Socket _far = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _near;
    private readonly SocketReadiness _readiness;

    public SocketReadinessTests()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _far.Connect(listener.LocalEndPoint!);
        _near = listener.Accept();
        _readiness = new SocketReadiness(_near);
    }

    public void Dispose()
    {
        _near.Dispose();
        _readiness.Dispose();
        _far.Dispose();
    }

    [LinuxFact]
    public async Task A_reader_and_a_writer_wait_side_by_side_and_each_hears_of_its_own()
    {
        _near.Blocking = false;
        var junk = new byte[1 << 20];
        var writable = await FillAsync(junk);
        var readable = _readiness.WhenReadableAsync(CancellationToken.None);
        _far.Send([1]);
        await readable.WaitAsync(Limit);
        Assert.False(writable.IsCompleted); // nobody has read what fills the way
        var emptying = Task.Run(() =>
        {
            while (!writable.IsCompleted) _far.Receive(junk);
        });
        await writable.WaitAsync(Limit);
        TrySend(junk); // wakes the receive that may have begun after the last byte
        await emptying.WaitAsync(Limit);
    }

    [LinuxFact]
    public async Task A_second_wait_hears_of_what_came_before_it()
    {
        _far.Send([1]);
        await _readiness.WhenReadableAsync(CancellationToken.None).WaitAsync(Limit);
        await _readiness.WhenReadableAsync(CancellationToken.None).WaitAsync(Limit);
        Assert.Equal(1, _near.Receive(new byte[9]));
        Assert.False(_readiness.WhenReadableAsync(CancellationToken.None).IsCompleted);
    }

    [LinuxFact]
    public async Task Ones_own_closing_ends_a_wait()
    {
        var waiting = _readiness.WhenReadableAsync(CancellationToken.None);
        _near.Dispose();
        _readiness.Dispose();
        await waiting.WaitAsync(Limit);
        await Assert.ThrowsAsync<ObjectDisposedException>(
            () => _readiness.WhenReadableAsync(CancellationToken.None));
    }

    [LinuxFact]
    public async Task A_wait_can_be_given_up_and_begun_again_and_ends_with_the_peer()
    {
        using var impatience = new CancellationTokenSource();
        var waiting = _readiness.WhenReadableAsync(impatience.Token);
        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        waiting = _readiness.WhenReadableAsync(CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        _far.Dispose();
        await waiting.WaitAsync(Limit);
    }

    /// <summary>
    /// Sends until the way is full and stays so: the kernel of a busy machine brings bytes on, and makes room, some
    /// time after it has refused more. A wait for room that has not ended.
    /// </summary>
    private async Task<Task> FillAsync(byte[] junk)
    {
        while (true)
        {
            while (TrySend(junk))
            {
            }

            var writable = _readiness.WhenWritableAsync(CancellationToken.None);
            if (await Task.WhenAny(writable, Task.Delay(500)) != writable) return writable;
        }
    }

    private bool TrySend(byte[] bytes)
    {
        try
        {
            return _near.Send(bytes) > 0;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
        {
            return false;
        }
    }
}

/// <summary>A fact of Linux's poller; elsewhere the runtime's sockets are used.</summary>
internal sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute()
    {
        if (!SocketVector.IsSupported) Skip = "no 64-bit Linux";
    }
}
