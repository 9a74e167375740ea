using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers.Tests;

/// <summary>What a <see cref="FaultProxy"/> does to one direction of each connection of a data link.</summary>
internal sealed record LinkFault
{
    /// <summary>Closes both ends after so many bytes.</summary>
    public long? CutAfter { get; init; }

    /// <summary>Passes nothing on after so many bytes; the connection stays open.</summary>
    public long? StallAfter { get; init; }

    /// <summary>Flips a bit of this byte.</summary>
    public long? FlipAt { get; init; }

    /// <summary>Sends this frame twice.</summary>
    public int? RepeatFrame { get; init; }

    /// <summary>Sends this frame after the next one.</summary>
    public int? SwapFrame { get; init; }

    public bool IsByFrame => RepeatFrame is not null || SwapFrame is not null;
}

/// <summary>A bad network between a target and a source: real sockets, and bytes that it does something to.</summary>
internal sealed class FaultProxy : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stopping = new();
    private readonly DataAddress _source;
    private readonly LinkFault _toTarget;
    private readonly LinkFault _toSource;
    private readonly Task _serving;
    private long _bytesToTarget;
    private long _bytesToSource;

    public FaultProxy(DataAddress source, LinkFault? toTarget = null, LinkFault? toSource = null)
    {
        (_source, _toTarget, _toSource) = (source, toTarget ?? new LinkFault(), toSource ?? new LinkFault());
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _serving = ServeAsync();
    }

    /// <summary>Where the target believes the source to be.</summary>
    public DataAddress Address => new(_source) { Port = (uint)((IPEndPoint)_listener.LocalEndPoint!).Port };

    public long BytesToTarget => Interlocked.Read(ref _bytesToTarget);

    public long BytesToSource => Interlocked.Read(ref _bytesToSource);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stopping.Dispose();
    }

    private async Task ServeAsync()
    {
        List<Task> links = [];
        try
        {
            while (true) links.Add(ServeAsync(await _listener.AcceptAsync(_stopping.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }

        await Task.WhenAll(links);
    }

    private async Task ServeAsync(Socket accepted)
    {
        try
        {
            using var target = accepted;
            using var source = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            target.NoDelay = true;
            await source.ConnectAsync(_source.Host, (int)_source.Port, _stopping.Token);
            await Task.WhenAll(
                PumpAsync(source, target, _toTarget, count => Interlocked.Add(ref _bytesToTarget, count)),
                PumpAsync(target, source, _toSource, count => Interlocked.Add(ref _bytesToSource, count)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over, or one end was faster in closing.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, LinkFault fault, Action<int> count)
    {
        try
        {
            if (fault.IsByFrame) await PumpFramesAsync(from, to, fault, count);
            else await PumpBytesAsync(from, to, fault, count);
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or EndOfStreamException)
        {
            from.Dispose();
            to.Dispose();
        }
    }

    private async Task PumpBytesAsync(Socket from, Socket to, LinkFault fault, Action<int> count)
    {
        var buffer = new byte[1 << 16];
        for (var at = 0L; ;)
        {
            var room = (int)Math.Min(buffer.Length, (fault.CutAfter ?? long.MaxValue) - at);
            if (room == 0) throw new EndOfStreamException();
            var bytes = await from.ReceiveAsync(buffer.AsMemory(0, room), _stopping.Token);
            if (bytes == 0) return;
            if (fault.FlipAt is { } flip && flip >= at && flip < at + bytes) buffer[flip - at] ^= 0x04;
            var pass = (int)Math.Clamp((fault.StallAfter ?? long.MaxValue) - at, 0, bytes);
            await SendAllAsync(to, buffer.AsMemory(0, pass));
            at += bytes;
            count(bytes);
        }
    }

    private async Task PumpFramesAsync(Socket from, Socket to, LinkFault fault, Action<int> count)
    {
        byte[]? late = null;
        for (var index = 0; await FrameAsync(from) is { } frame; index++)
        {
            count(frame.Length);
            if (index == fault.SwapFrame)
            {
                late = frame;
                continue;
            }

            await SendAllAsync(to, frame);
            if (index == fault.RepeatFrame) await SendAllAsync(to, frame);
            if (late is null) continue;
            await SendAllAsync(to, late);
            late = null;
        }

        if (late is not null) await SendAllAsync(to, late);
    }

    private async Task<byte[]?> FrameAsync(Socket from)
    {
        var header = new byte[DataFrame.HeaderBytes];
        if (!await FillAsync(from, header)) return null;
        var rest = new byte[BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4))
            + BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(8))];
        await FillAsync(from, rest);
        return [.. header, .. rest];
    }

    private async Task<bool> FillAsync(Socket from, Memory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var count = await from.ReceiveAsync(bytes, _stopping.Token);
            if (count == 0) return false;
            bytes = bytes[count..];
        }

        return true;
    }

    private async Task SendAllAsync(Socket to, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await to.SendAsync(bytes, _stopping.Token)..];
    }
}
