"""`hive worker`: its commands, one file for each topic in worker/commands."""

import typer

from worker.commands.bench import bench
from worker.commands.control import drain, pause, resume, status
from worker.commands.doctor import doctor
from worker.commands.earnings import earnings
from worker.commands.join import join, leave, whoami
from worker.commands.link import link, unlink
from worker.commands.models import models
from worker.commands.service import install_service, uninstall_service
from worker.commands.update import update
from worker.commands.why import why

app = typer.Typer(help="Lend this machine to the swarm.", no_args_is_help=True)
app.add_typer(models, name="models")
for command in (
    join, status, pause, resume, drain, leave, whoami, doctor, why, earnings, bench, link, unlink,
    install_service, uninstall_service, update,
):  # fmt: skip
    app.command()(command)
