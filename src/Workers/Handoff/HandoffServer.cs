using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>What serves one incoming data link to its end. Does not throw.</summary>
internal interface ILinkHandler
{
    Task RunAsync(CancellationToken stopping);
}

/// <summary>
/// The door of a worker that others pull blocks from: accepts data links, takes each one's first message and gives the
/// link to the handler of that kind (handoff, migration, prefix fetch).
/// </summary>
internal sealed partial class HandoffServer(IBlockListener listener, TimeProvider time, ILogger logger)
    : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _connections = [];
    private Task _accepting = Task.CompletedTask;

    public int Port => listener.Port;

    /// <summary>
    /// Begins to accept. <paramref name="open"/> makes a link's handler from its first message, or says null to one
    /// that begins no link; the handler disposes the channel.
    /// </summary>
    public void Start(Func<IDataChannel, DataMessage, ILinkHandler?> open) => _accepting = AcceptAsync(open);

    /// <summary>Ends every link; afterwards no send reads a block.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting;
        await Task.WhenAll(_connections);
        listener.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Func<IDataChannel, DataMessage, ILinkHandler?> open)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var link = await listener.AcceptAsync(_stopping.Token);
                _connections.RemoveAll(task => task.IsCompleted);
                _connections.Add(Task.Run(() => ServeAsync(link, open)));
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (SocketException e)
            {
                // A peer that gave up in between, or no file handle left: the door stays open, without spinning.
                LogAcceptFailed(logger, e.Message);
                await Task.Delay(HandoffLimits.AcceptPause, time, CancellationToken.None);
            }
        }
    }

    private async Task ServeAsync(IAcceptedLink link, Func<IDataChannel, DataMessage, ILinkHandler?> open)
    {
        using (link)
        {
            if (await BeginAsync(link, open) is { } handler) await handler.RunAsync(_stopping.Token);
        }
    }

    private async Task<ILinkHandler?> BeginAsync(
        IAcceptedLink link, Func<IDataChannel, DataMessage, ILinkHandler?> open)
    {
        using var patience = new Patience(HandoffLimits.HelloLimit, time, _stopping.Token);
        IDataChannel? channel = null;
        try
        {
            channel = await link.OpenAsync(patience.Token);
            if (channel is null) return null;
            if (await channel.ReceiveAsync(patience.Token) is { } first)
                return open(channel, first) ?? throw new FrameException($"A data link began with {first.BodyCase}.");
        }
        catch (Exception e) when (e is FrameException or IOException or OperationCanceledException)
        {
            LogNotBegun(logger, e.Message);
        }

        channel?.Dispose();
        return null;
    }

    [LoggerMessage(LogLevel.Warning, "Step 5: a data link could not be accepted: {Reason}")]
    private static partial void LogAcceptFailed(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Debug, "Step 5: a data link ended before it began: {Reason}")]
    private static partial void LogNotBegun(ILogger logger, string reason);
}
