using Krewe.Cli;

using var shutdown = new Shutdown();
return await KreweCommand.RunAsync(args, Terminal.Standard(), shutdown.Token);
