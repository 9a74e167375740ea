using System.Net;
using System.Net.Sockets;

namespace Krewe.Cli.Tests.Checks;

public sealed class MachineChecksTests
{
    [Fact]
    public void A_port_in_use_is_seen_and_a_free_one_is_not_held()
    {
        using var holder = Listen();
        var port = ((IPEndPoint)holder.LocalEndpoint).Port;

        var taken = MachineChecks.Port(port);
        holder.Stop();

        Assert.Equal(CheckLevel.Warn, taken.Level);
        Assert.Contains($"{port}", taken.Found);
        Assert.NotNull(taken.Advice);
        Assert.Equal(CheckLevel.Ok, MachineChecks.Port(port).Level);
        Assert.Equal(CheckLevel.Ok, MachineChecks.Port(port).Level);
    }

    [Fact]
    public void A_folder_that_is_no_model_fails_with_advice()
    {
        var check = MachineChecks.Model(Path.GetTempPath());

        Assert.Equal(CheckLevel.Fail, check.Level);
        Assert.Contains("config.json", check.Found);
        Assert.NotNull(check.Advice);
    }

    [Fact]
    public void The_bundled_model_is_found_and_whole() =>
        Assert.Equal(CheckLevel.Ok, MachineChecks.Model(folder: null).Level);

    [Fact]
    public async Task Doctor_says_one_line_for_each_check()
    {
        var run = await Run.Krewe("doctor");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        foreach (var what in (string[])[".NET", "CPU", "memory", "port", "disk", "GPU", "model"])
            Assert.Contains(run.Out.Split('\n'), line => line.Contains($" {what} ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Doctor_fails_when_the_model_does()
    {
        var run = await Run.Krewe("doctor", "--model", "no/such/folder");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("fail", run.Out);
    }

    /// <summary>At a port that nobody is given who asks for any: it stays free when this one has left it.</summary>
    private static TcpListener Listen()
    {
        while (true)
        {
            var listener = new TcpListener(IPAddress.Loopback, Random.Shared.Next(10_000, 32_000));
            try
            {
                listener.Start();
                return listener;
            }
            catch (SocketException)
            {
                listener.Dispose();
            }
        }
    }
}
