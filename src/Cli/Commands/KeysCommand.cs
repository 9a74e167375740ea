using System.Buffers.Text;
using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Control.Access;

namespace Krewe.Cli;

/// <summary><c>krewe keys</c>: makes API keys and hashes them, for the file that --api-keys reads.</summary>
internal sealed class KeysCommand : Command
{
    private const string Prefix = "krewe-";
    private const int KeyBytes = 32;

    private readonly Terminal _terminal;

    public KeysCommand(Terminal terminal)
        : base("keys", "Make API keys for --api-keys, or hash one.")
    {
        _terminal = terminal;
        Add(Make());
        Add(Hash());
    }

    private Command Make()
    {
        var name = Setting.Text("--name", "NAME", "Name in logs and in the audit trail. Default: key-1.");
        var tenant = Setting.Text("--tenant", "NAME", "Whose key it is. Default: default.");
        var roles = Setting.SomeOf(
            "--role", "ROLE", "inference, operator or admin; may be given more than once. Default: inference.",
            "inference", "operator", "admin");
        var file = Setting.Text("--file", "FILE", "Key file to add it to, made when there is none. Default: print it.");
        var command = new Command("make", "Make a random key. It is printed once; only its hash is kept.")
        {
            name, tenant, roles, file,
        };
        command.SetAction(result => MakeKey(
            result.GetValue(name) ?? "key-1", result.GetValue(tenant), result.GetValue(roles), result.GetValue(file)));
        return command;
    }

    private Command Hash()
    {
        var command = new Command("hash", "Read a key from standard input and print its hash for a key file.");
        command.SetAction(_ =>
        {
            var key = _terminal.In.ReadLine()?.Trim() ?? "";
            if (key.Length < ApiKey.CharsMin)
            {
                return _terminal.RefuseUsage(
                    [$"The key has {key.Length} characters; it could be guessed. Take at least {ApiKey.CharsMin} "
                        + "random ones, or let 'krewe keys make' make one."], "keys hash");
            }

            _terminal.Out.WriteLine(Convert.ToHexStringLower(ApiKey.HashOf(key)));
            return ExitCode.Success;
        });
        return command;
    }

    private int MakeKey(string name, string? tenant, string[]? roles, string? file)
    {
        var key = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(KeyBytes));
        var entry = new JsonObject
        {
            ["name"] = name,
            ["sha256"] = Convert.ToHexStringLower(ApiKey.HashOf(key)),
            ["tenant"] = tenant ?? AccessFile.UsualTenant,
            ["roles"] = new JsonArray([.. (roles is { Length: > 0 } given ? given : ["inference"])
                .Select(role => (JsonNode)role)]),
        };
        if (!TryRead(file, out var document, out var error)) return _terminal.RefuseUsage([error], "keys make");
        if (document["keys"] is not JsonArray keys) document["keys"] = keys = [];
        keys.Add((JsonNode)entry);
        var text = document.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
        AccessFile.Read([(file ?? "the new file", text)], out var errors);
        if (errors.Count > 0) return _terminal.RefuseUsage(errors, "keys make");
        if (file is null)
        {
            _terminal.Say("the key is on the last line, and is not kept anywhere; the file for --api-keys:");
            _terminal.Out.WriteLine(text);
        }
        else
        {
            Write(file, text + Environment.NewLine);
            _terminal.Say($"{file} has its hash now; the key, which is not kept anywhere:");
        }

        _terminal.Out.WriteLine(key);
        return ExitCode.Success;
    }

    private static bool TryRead(string? file, out JsonObject document, out string error)
    {
        (document, error) = ([], "");
        if (file is null || !File.Exists(file)) return true;
        try
        {
            document = JsonNode.Parse(File.ReadAllText(file))?.AsObject() ?? [];
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or IOException)
        {
            error = $"{file} is no key file: {e.Message}";
            return false;
        }
    }

    /// <summary>For its owner's eyes, and whole or not at all: a silo may be reading it.</summary>
    private static void Write(string file, string text)
    {
        var draft = $"{file}.new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var writer = new StreamWriter(draft, options)) writer.Write(text);
        File.Move(draft, file, overwrite: true);
    }
}
