import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { connect } from './backend'
import { App as State } from './state/app.svelte'

const backend = await connect(location.search)
mount(App, { target: document.getElementById('app')!, props: { app: new State(backend, localStorage) } })
