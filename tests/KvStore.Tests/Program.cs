using Krewe.KvStore.Tests.Disk;

namespace Krewe.KvStore.Tests;

/// <summary>Entry of the child processes that the crash tests start and kill. The test host never comes here.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args)
    {
        if (args is ["crash-writer", var directory, var path, var seed])
            return await CrashWriter.RunAsync(directory, path, int.Parse(seed));
        await Console.Error.WriteLineAsync("usage: crash-writer DIRECTORY PATH SEED");
        return 2;
    }
}
