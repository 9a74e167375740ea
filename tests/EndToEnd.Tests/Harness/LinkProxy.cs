using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>
/// A network between real workers (WorkerOptions.TestDataProxy): their data links go through here, and break when a
/// test says so.
/// </summary>
public sealed class LinkProxy : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _serving;
    private Break? _next;
    private int _broken;
    private int _ended;

    public LinkProxy()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _serving = ServeAsync();
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Links that broke so far.</summary>
    public int Broken => Volatile.Read(ref _broken);

    /// <summary>Links that came and went, but not those that went silent.</summary>
    public int Ended => Volatile.Read(ref _ended);

    /// <summary>
    /// The first link that carries more than <paramref name="bytes"/> to the side that takes blocks is closed there, or
    /// stays open and silent.
    /// </summary>
    public void BreakAfter(long bytes, bool silent) => Volatile.Write(ref _next, new Break(bytes, silent));

    /// <summary>No link breaks any more.</summary>
    public void BreakNone() => Volatile.Write(ref _next, null);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _serving;
        _listener.Dispose();
        _stopping.Dispose();
    }

    private async Task ServeAsync()
    {
        var links = new List<Task>();
        try
        {
            while (true) links.Add(CarryAsync(await _listener.AcceptAsync(_stopping.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(links);
        }
    }

    private async Task CarryAsync(Socket taker)
    {
        using var giver = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        using (taker)
        {
            try
            {
                taker.NoDelay = true;
                await giver.ConnectAsync(IPEndPoint.Parse(await LineAsync(taker)), ended.Token);
                var asked = PumpAsync(taker, giver, mayBreak: false, ended);
                await PumpAsync(giver, taker, mayBreak: true, ended);
                await asked;
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // One end is gone: leaving closes the other.
            }
            finally
            {
                Interlocked.Increment(ref _ended);
            }
        }
    }

    private async Task<string> LineAsync(Socket from)
    {
        var line = new StringBuilder();
        var next = new byte[1];
        while (await from.ReceiveAsync(next, _stopping.Token) == 1 && next[0] != '\n') line.Append((char)next[0]);
        return line.ToString();
    }

    private async Task PumpAsync(Socket from, Socket to, bool mayBreak, CancellationTokenSource ended)
    {
        var buffer = new byte[16 << 10];
        long carried = 0;
        while (await from.ReceiveAsync(buffer, ended.Token) is var count and > 0)
        {
            carried += count;
            if (mayBreak && Volatile.Read(ref _next) is { } broken && carried > broken.Bytes
                && Interlocked.CompareExchange(ref _next, null, broken) == broken)
            {
                Interlocked.Increment(ref _broken);
                if (broken.Silent) await Task.Delay(Timeout.InfiniteTimeSpan, ended.Token);
                await ended.CancelAsync();
                return;
            }

            await to.SendAsync(buffer.AsMemory(0, count), ended.Token);
        }

        to.Shutdown(SocketShutdown.Send);
    }

    private sealed record Break(long Bytes, bool Silent);
}
