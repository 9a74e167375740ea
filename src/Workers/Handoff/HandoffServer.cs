using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// The source's side of all handoffs: accepts data links and runs one <see cref="PullerConnection"/> on each.
/// </summary>
internal sealed partial class HandoffServer(IBlockListener listener, TimeProvider time, ILogger logger)
    : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _connections = [];
    private Task _accepting = Task.CompletedTask;

    public int Port => listener.Port;

    /// <summary>Begins to accept. <paramref name="open"/> makes a link's handler.</summary>
    public void Start(Func<IDataChannel, PullerConnection> open) => _accepting = AcceptAsync(open);

    /// <summary>Ends every link; afterwards no send reads a block.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting;
        await Task.WhenAll(_connections);
        listener.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Func<IDataChannel, PullerConnection> open)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var connection = open(await listener.AcceptAsync(_stopping.Token));
                _connections.RemoveAll(task => task.IsCompleted);
                _connections.Add(Task.Run(() => connection.RunAsync(_stopping.Token)));
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

    [LoggerMessage(LogLevel.Warning, "Step 5: a data link could not be accepted: {Reason}")]
    private static partial void LogAcceptFailed(ILogger logger, string reason);
}
